import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openRepository, verifyBackup } from "@db/backup";
import { type BackupArena, backupCases, openBackups, runBasebackup, startBackupProcess } from "./backup-arena.ts";
import { checkBasebackup } from "./basebackup-check.ts";
import type { Benchmark, Contender } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";

/** Says what is wrong with a backup, after the clock stopped. */
type Check = () => Promise<string | undefined>;

/** A full physical backup with its WAL, compressed with zstd 1 and on disk when it ends. */
export const backupFull: Benchmark<BackupArena, Check> = {
  name: "backup-full",
  title: "Full backup, zstd level 1",
  cases: backupCases,
  setup: (context) => openBackups(context, { basebackup: "pg_basebackup_server", pgbackrest: "pgbackrest" }),
  contenders: [
    ours("db_backup"),
    ours("db_backup_tcp", { tcp: true }),
    ours("db_backup_unencrypted", { encrypted: false }),
    basebackup(),
    pgbackrest(),
  ],
  check: (_arena, _run, { answer }) => answer(),
  figures: (measurements) => timeFigures(measurements, "db_backup"),
};

function ours(name: string, { encrypted = true, tcp = false } = {}): Contender<BackupArena, Check> {
  return {
    name,
    package: "@db/backup",
    async prepare(arena, run) {
      const { url: socketUrl, tcpUrl, encryptionKey: key, tableBytes, settle } = arena.server(run.case);
      const location = await arena.freshPath();
      const encryptionKey = encrypted ? key : undefined;
      const begin = await startBackupProcess();
      await settle();
      return async () => {
        const job = {
          verb: "backup",
          url: tcp ? tcpUrl : socketUrl,
          repository: location,
          encryptionKey,
          directory: "",
        } as const;
        const { label, bytes, storedBytes, peakBytes } = await begin(job);
        const answer = async (): Promise<string | undefined> => {
          const repository = await openRepository(location, encryptionKey === undefined ? {} : { encryptionKey });
          const { findings } = await verifyBackup({ repository, label, depth: "deep" });
          if (findings.length > 0) return findings.map(({ title }) => title).join("; ");
          return bytes >= tableBytes ? undefined : `${bytes} bytes, the table alone has ${tableBytes}`;
        };
        return { operations: 1, answer, facts: { stored_bytes: storedBytes, peak_bytes: peakBytes } };
      };
    },
  };
}

function basebackup(): Contender<BackupArena, Check> {
  return {
    name: "pg_basebackup_server",
    async prepare(arena, run) {
      const server = arena.server(run.case);
      const directory = await arena.freshPath();
      await server.settle();
      return async () => {
        await runBasebackup(server, directory);
        return {
          operations: 1,
          answer: () => checkBasebackup(directory, server.tableBytes),
          facts: { stored_bytes: await sizeOf(directory) },
        };
      };
    },
  };
}

function pgbackrest(): Contender<BackupArena, Check> {
  return {
    name: "pgbackrest",
    async prepare(arena, run) {
      const { pgbackrest: peer, settle, tableBytes } = arena.server(run.case);
      await peer.begin();
      await settle();
      return async () => {
        await peer.run(["backup", "--type=full"]);
        const answer = async (): Promise<string | undefined> => {
          await peer.end();
          const [stanza] = JSON.parse(await peer.run(["info", "--output=json"])) as { backup: PeerBackup[] }[];
          const [backup] = stanza?.backup ?? [];
          if (backup?.error !== false) return "it has no backup without an error";
          return backup.info.size >= tableBytes ? undefined : `${backup.info.size} bytes, the table has ${tableBytes}`;
        };
        return { operations: 1, answer };
      };
    },
  };
}

interface PeerBackup {
  readonly error: boolean;
  readonly info: { readonly size: number };
}

async function sizeOf(directory: string): Promise<number> {
  const files = await readdir(directory);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(directory, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
