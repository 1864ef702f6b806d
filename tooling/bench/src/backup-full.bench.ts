import { randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createBackup, openRepository, type Repository, verifyBackup } from "@db/backup";
import { type BackupArena, basebackupModes, openBackups, runBasebackup } from "./backup-arena.ts";
import { checkBasebackup } from "./basebackup-check.ts";
import type { Benchmark, Contender } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";

/** Where a backup lies, for the check to read it back. */
type Backup =
  | { readonly kind: "repository"; readonly repository: Repository; readonly label: string; readonly bytes: number }
  | { readonly kind: "directory"; readonly directory: string };

/** A full physical backup with its WAL, compressed with zstd 1 and on disk when it ends. */
export const backupFull: Benchmark<BackupArena, Backup> = {
  name: "backup-full",
  title: "Full backup of a 200 MB database, zstd level 1",
  setup: openBackups,
  contenders: [
    ours("db_backup", () => ({ encryptionKey: randomBytes(32) })),
    ours("db_backup_unencrypted", () => ({})),
    basebackup("client"),
    basebackup("server"),
  ],
  async check({ tableBytes }, _run, { answer }) {
    if (answer.kind === "directory") return checkBasebackup(answer.directory, tableBytes);
    const { findings } = await verifyBackup({ repository: answer.repository, label: answer.label, depth: "deep" });
    if (findings.length > 0) return findings.map(({ title }) => title).join("; ");
    return answer.bytes >= tableBytes ? undefined : `${answer.bytes} bytes, the table alone has ${tableBytes}`;
  },
  figures: (measurements) => timeFigures(measurements, "db_backup"),
};

function ours(name: string, secret: () => { encryptionKey?: Uint8Array }): Contender<BackupArena, Backup> {
  return {
    name,
    package: "@db/backup",
    async prepare(arena) {
      const repository = await openRepository(await arena.freshPath(), secret());
      await arena.settle();
      return async () => {
        const { label, bytes, storedBytes } = await createBackup({ url: arena.url, repository });
        const answer: Backup = { kind: "repository", repository, label, bytes };
        return { operations: 1, answer, facts: { stored_bytes: storedBytes } };
      };
    },
  };
}

function basebackup(mode: keyof typeof basebackupModes): Contender<BackupArena, Backup> {
  return {
    name: basebackupModes[mode],
    async prepare(arena) {
      const directory = await arena.freshPath();
      const { tools } = arena;
      if (tools === undefined) throw new Error("pg_basebackup was not found, and yet its turn came");
      await arena.settle();
      return async () => {
        await runBasebackup(tools, mode, arena.url, directory);
        return {
          operations: 1,
          answer: { kind: "directory", directory },
          facts: { stored_bytes: await sizeOf(directory) },
        };
      };
    },
  };
}

async function sizeOf(directory: string): Promise<number> {
  const files = await readdir(directory);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(directory, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
