import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "@db/core";
import { type Binaries, findBinaries } from "@db/embedded";
import { startCluster } from "@db/testkit";
import type { Absence, Arena, SetupContext } from "./benchmark.ts";

const execute = promisify(execFile);

/** A server with data worth a backup, and a scratch directory on one disk for all contenders. */
export interface BackupArena extends Arena {
  readonly url: string;
  /** Size of the table, which no backup may be smaller than when unpacked. */
  readonly tableBytes: number;
  /** A path that does not exist yet, and what stood at the path before is gone. */
  freshPath(): Promise<string>;
  /** A checkpoint, and the disk's queue empty: no run pays for the writes of the one before. */
  settle(): Promise<void>;
  readonly tools: Binaries | undefined;
}

/** Where the peer compresses. */
export const basebackupModes = { client: "pg_basebackup_client", server: "pg_basebackup_server" } as const;

// About 175 bytes a row that compress 3 to 1, as business data does; pgbench's rows compress 20 to 1.
const tableSql = /* sql */ `
  create table document as
  select n::bigint as id, md5(n::text) || md5((n * 2)::text) || md5((n * 3)::text)
         || ' registered, not yet assigned to a reader' as body
    from generate_series(1, 1150000) n`;

export async function openBackups({ say }: SetupContext): Promise<BackupArena> {
  await using stack = new AsyncDisposableStack();
  const tools = await findTools();
  // pg_basebackup serves servers up to its own version.
  const version = Math.min(tools?.major ?? 18, 18);
  const cluster = stack.use(await startCluster({ version, settings: { max_wal_size: "2GB" } }));
  const directory = await mkdtemp(join(tmpdir(), "bench-backup-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const client = await cluster.connect();
  stack.defer(() => client.end());
  say("making about 200 MB of data");
  await client.query(tableSql);
  const { rows } = await client.query<{ version: string; bytes: number }>(
    "select current_setting('server_version') as version, pg_relation_size('document')::float8 as bytes",
  );
  const { url } = cluster.primary;
  let path = join(directory, "0");
  let paths = 0;
  const freshPath = async (): Promise<string> => {
    await rm(path, { recursive: true, force: true });
    paths += 1;
    path = join(directory, String(paths));
    return path;
  };
  const absent = await findAbsent(tools, url, freshPath);
  const kept = stack.move();
  return {
    url,
    tools,
    absent,
    freshPath,
    postgres: rows[0]?.version ?? "",
    tableBytes: rows[0]?.bytes ?? 0,
    versions: Object.fromEntries(
      Object.values(basebackupModes).map((name) => [name, tools ? `pg_basebackup ${tools.version}` : "absent"]),
    ),
    async settle() {
      await client.query("checkpoint");
      await execute("sync").catch(() => undefined);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Takes a compressed backup in tar format into a directory. */
export async function runBasebackup(
  tools: Binaries,
  mode: "client" | "server",
  url: string,
  to: string,
): Promise<void> {
  const program = join(tools.directory, "pg_basebackup");
  const how = ["--format=tar", "--wal-method=stream", "--checkpoint=fast", `--compress=${mode}-zstd:1`];
  await execute(program, [...how, `--pgdata=${to}`, `--dbname=${url}`], { env: { ...process.env, LC_MESSAGES: "C" } });
}

/** The newest pg_basebackup with zstd, which came with 15. */
async function findTools(): Promise<Binaries | undefined> {
  const path = process.env["PATH"] ?? "";
  const able = (await findBinaries({ path })).filter(
    ({ major, tools, problem }) => problem === undefined && major >= 15 && tools.includes("pg_basebackup"),
  );
  return able.toSorted((a, b) => b.major - a.major)[0];
}

/** Tries each mode once: a build without zstd says so only when asked. */
async function findAbsent(
  tools: Binaries | undefined,
  url: string,
  freshPath: () => Promise<string>,
): Promise<Absence[]> {
  const absent: Absence[] = [];
  for (const [mode, contender] of Object.entries(basebackupModes) as ["client" | "server", string][]) {
    if (tools === undefined) {
      absent.push({ contender, reason: "no pg_basebackup of version 15 or newer was found on this machine" });
      continue;
    }
    try {
      await runBasebackup(tools, mode, url, await freshPath());
    } catch (error) {
      const lines = messageOf(error).split("\n");
      absent.push({ contender, reason: lines.find((line) => line.startsWith("pg_basebackup")) ?? lines[0] ?? "" });
    }
  }
  return absent;
}
