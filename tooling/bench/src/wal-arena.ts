import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@db/core";
import { startCluster } from "@db/testkit";
import type { Absence, Arena, SetupContext } from "./benchmark.ts";

const execute = promisify(execFile);
const cli = fileURLToPath(new URL("../../../apps/cli/bin/db.js", import.meta.url));
const shellClient = fileURLToPath(new URL("../../../packages/backup/bin/db-wal-sh", import.meta.url));

/** A server with finished WAL segments of 16 MB, and a place for repositories. */
export interface WalArena extends Arena {
  /** Finished segments, oldest first, whole paths. */
  readonly segments: readonly string[];
  readonly dataDirectory: string;
  readonly encryptionKey: string;
  /** A path that does not exist yet, on one disk for all contenders. */
  freshPath(): string;
  /** Runs `db wal …` as PostgreSQL does: a whole process in the data directory. */
  readonly runOurs: (words: readonly string[]) => Promise<void>;
  /** The same by the client that is a shell's, whose daemon has the key. */
  readonly runShell: (words: readonly string[]) => Promise<void>;
  /** Runs pgBackRest with its repository at a path. */
  runPgbackrest(repository: string, words: readonly string[]): Promise<void>;
}

export async function openWal({ quick, say }: SetupContext): Promise<WalArena> {
  await using stack = new AsyncDisposableStack();
  const pgbackrest = await execute("pgbackrest", ["version"]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
  // The pgBackRest of today's distributions knows servers up to 15.
  const cluster = stack.use(
    await startCluster({ version: pgbackrest === undefined ? 18 : 15, settings: { wal_keep_size: "2GB" } }),
  );
  const directory = await mkdtemp(join(tmpdir(), "bench-wal-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const client = await cluster.connect();
  stack.defer(() => client.end());
  say("filling segments");
  await client.query("create table filler (n int, body text)");
  const wanted = quick ? 6 : 12;
  const names = async (): Promise<string[]> => {
    const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_current_wal_lsn()) as name");
    const all = await readdir(join(cluster.primary.dataDirectory, "pg_wal"));
    // The first one is from before the table: nearly empty.
    return all
      .filter((name) => /^[0-9A-F]{24}$/.test(name) && name < rows[0]!.name)
      .sort()
      .slice(1);
  };
  while ((await names()).length < wanted) {
    await client.query(
      "insert into filler select n, md5(n::text) || ' registered, not yet assigned' from generate_series(1, 60000) n",
    );
  }
  const segments = (await names()).map((name) => join(cluster.primary.dataDirectory, "pg_wal", name));
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  const encryptionKey = randomBytes(32).toString("hex");
  const { dataDirectory, port } = cluster.primary;
  let paths = 0;
  const runOurs = async (words: readonly string[]): Promise<void> => {
    await execute(process.execPath, [cli, "wal", ...words], {
      cwd: dataDirectory,
      env: { PATH: process.env["PATH"], BACKUP_ENCRYPTION_KEY: encryptionKey },
    });
  };
  const runShell = async (words: readonly string[]): Promise<void> => {
    await execute(shellClient, [...words], { cwd: dataDirectory, env: { PATH: process.env["PATH"] } });
  };
  const runPgbackrest = async (repository: string, words: readonly string[]): Promise<void> => {
    const env = {
      PATH: process.env["PATH"],
      PGPASSWORD: "postgres",
      PGHOST: "127.0.0.1",
      // By the environment: what a command has no use for, it then passes over.
      PGBACKREST_PG1_PATH: dataDirectory,
      PGBACKREST_PG1_PORT: String(port),
      PGBACKREST_PG1_USER: "postgres",
      PGBACKREST_REPO1_PATH: repository,
      PGBACKREST_REPO1_CIPHER_TYPE: "aes-256-cbc",
      PGBACKREST_REPO1_CIPHER_PASS: encryptionKey,
      PGBACKREST_COMPRESS_TYPE: "zst",
      PGBACKREST_COMPRESS_LEVEL: "1",
      PGBACKREST_LOG_LEVEL_FILE: "off",
      PGBACKREST_LOCK_PATH: join(directory, "lock"),
      PGBACKREST_SPOOL_PATH: join(directory, "spool"),
    };
    await execute("pgbackrest", ["--config=/dev/null", "--stanza=bench", ...words], { cwd: dataDirectory, env });
  };
  const absent: Absence[] = [];
  if (pgbackrest === undefined) absent.push({ contender: "pgbackrest", reason: "pgbackrest was not found" });
  else {
    const trial = join(directory, "trial");
    await mkdir(trial);
    await chmod(trial, 0o700);
    await runPgbackrest(trial, ["stanza-create"]).catch((error: unknown) =>
      absent.push({
        contender: "pgbackrest",
        reason:
          messageOf(error)
            .split("\n")
            .find((line) => line.includes("ERROR")) ?? messageOf(error),
      }),
    );
  }
  const kept = stack.move();
  return {
    postgres: rows[0]?.version ?? "",
    versions: { pgbackrest: pgbackrest ?? "absent" },
    absent,
    segments,
    dataDirectory,
    encryptionKey,
    freshPath: () => join(directory, String(++paths)),
    runOurs,
    runShell,
    runPgbackrest,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
