import { execFile, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@db/core";
import { type Binaries, findBinaries, serverAccount, startTemporaryCluster } from "@db/embedded";
import { Client } from "pg";
import type { BackupJob, BackupJobResult } from "./backup-process.ts";
import type { Absence, Arena, BenchmarkCase, SetupContext } from "./benchmark.ts";
import { Pgbackrest } from "./pgbackrest.ts";

const execute = promisify(execFile);
// As it was built: what a team runs, without the cost of reading TypeScript.
const program = fileURLToPath(new URL("../dist/backup-process.js", import.meta.url));

/** Sizes of the database, by name of the case. */
const rowsOf = new Map([
  ["200mb", 1_150_000],
  ["1gb", 5_900_000],
  ["5gb", 29_500_000],
]);

export const backupCases: readonly BenchmarkCase[] = [
  { name: "200mb", title: "200 MB", only: "quick" },
  { name: "1gb", title: "1 GB" },
  { name: "5gb", title: "5 GB", only: "asked" },
];

/** Servers with data worth a backup, and a scratch directory on one disk for all contenders. */
export interface BackupArena extends Arena {
  server(name: string): BackupServer;
  /** A path that does not exist yet, and what stood at the path before is gone. */
  freshPath(): Promise<string>;
}

/** A server with a table of one size. */
export interface BackupServer {
  /** By the server's socket: pgBackRest has to be on its machine, so the others are there too. */
  readonly url: string;
  readonly tcpUrl: string;
  readonly tools: Binaries;
  /** Size of the table, which no backup may be smaller than when unpacked. */
  readonly tableBytes: number;
  /** Rows of the table, and a sum of what is in them. */
  readonly digest: string;
  readonly pgbackrest: Pgbackrest;
  readonly encryptionKey: string;
  /** A checkpoint, and the disk's queue empty: no run pays for the writes of the one before. */
  readonly settle: () => Promise<void>;
  /** Starts a server on restored data and compares its table. @returns what is wrong, if anything */
  readonly checkRestored: (directory: string) => Promise<string | undefined>;
}

// About 175 bytes a row that compress 3 to 1, as business data does; pgbench's rows compress 20 to 1.
const tableSql = /* sql */ `
  create table document as
  select n::bigint as id, md5(n::text) || md5((n * 2)::text) || md5((n * 3)::text)
         || ' registered, not yet assigned to a reader' as body
    from generate_series(1, $rows) n`;

const digestSql = /* sql */ `
  select count(*) || ' ' || sum(hashtextextended(body, id)) as digest from document`;

/** @param contenders those that need a program of this machine, by the program's name */
export async function openBackups(
  { cases, say }: SetupContext,
  contenders: { readonly basebackup?: string; readonly pgbackrest: string },
): Promise<BackupArena> {
  await using stack = new AsyncDisposableStack();
  const [account, pgbackrestVersion, tools] = await Promise.all([serverAccount(), Pgbackrest.version(), findServer()]);
  const directory = await mkdtemp(join(tmpdir(), "bench-backup-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o711);
  const servers = new Map<string, BackupServer>();
  let postgres = "";
  for (const name of cases) {
    const pgbackrest = new Pgbackrest(join(directory, `pgbackrest-${name}`), account);
    const password = randomBytes(12).toString("hex");
    const settings = {
      max_wal_size: "4GB",
      wal_level: "replica",
      max_wal_senders: 10,
      archive_mode: "on",
      archive_command: pgbackrest.archiveCommand,
    };
    const sockets = join(directory, `sockets-${name}`);
    await mkdir(sockets);
    if (account !== undefined) await chown(sockets, account.uid, account.gid);
    const overrides = { unix_socket_directories: sockets };
    const started = await startTemporaryCluster({
      binaries: tools,
      username: "postgres",
      password,
      settings,
      overrides,
    });
    stack.use(started);
    const client = new Client({ connectionString: started.url });
    await client.connect();
    stack.defer(() => client.end());
    say(`making ${name} of data`);
    await client.query(tableSql.replace("$rows", String(rowsOf.get(name))));
    // Now, or autovacuum does it during somebody's round.
    await client.query("vacuum (freeze, analyze) document");
    const { rows } = await client.query<{ version: string; bytes: number }>(
      "select current_setting('server_version') as version, pg_relation_size('document')::float8 as bytes",
    );
    postgres = rows[0]!.version;
    const { cluster } = started;
    await pgbackrest.configure(cluster.dataDirectory, cluster.port, password);
    servers.set(name, {
      url: `postgres://postgres:${password}@localhost/postgres?host=${sockets}&port=${cluster.port}`,
      tcpUrl: started.url,
      tools,
      tableBytes: rows[0]!.bytes,
      digest: await digestOf(client),
      pgbackrest,
      encryptionKey: randomBytes(32).toString("hex"),
      async settle() {
        await client.query("checkpoint");
        await execute("sync").catch(() => undefined);
      },
      async checkRestored(restored) {
        await using copy = await startTemporaryCluster({
          binaries: tools,
          dataDirectory: restored,
          username: "postgres",
          password,
          overrides: { archive_mode: "off" },
        });
        const reader = new Client({ connectionString: copy.url });
        await reader.connect();
        const digest = await digestOf(reader).finally(() => void reader.end());
        const original = await digestOf(client);
        return digest === original ? undefined : `the table is ${digest}, not ${original}`;
      },
    });
  }
  const absent: Absence[] = [];
  if (contenders.basebackup !== undefined && !tools.tools.includes("pg_basebackup")) {
    absent.push({ contender: contenders.basebackup, reason: "no PostgreSQL 15 with pg_basebackup was found" });
  }
  if (pgbackrestVersion === undefined) absent.push({ contender: contenders.pgbackrest, reason: "it was not found" });
  else if (tools.major > 15) {
    absent.push({ contender: contenders.pgbackrest, reason: "no PostgreSQL 15, which it knows, was found" });
  } else {
    for (const { pgbackrest } of servers.values()) {
      await pgbackrest.begin().catch((error: unknown) => {
        absent.push({ contender: contenders.pgbackrest, reason: messageOf(error).split("\n")[1] ?? messageOf(error) });
      });
      await pgbackrest.end();
    }
  }
  let path = join(directory, "0");
  let paths = 0;
  const kept = stack.move();
  return {
    postgres,
    absent,
    versions: {
      ...(contenders.basebackup === undefined ? {} : { [contenders.basebackup]: `pg_basebackup ${tools.version}` }),
      [contenders.pgbackrest]: `pgBackRest ${(pgbackrestVersion ?? "absent").replace("pgBackRest ", "")}`,
    },
    server: (name) => servers.get(name)!,
    async freshPath() {
      await rm(path, { recursive: true, force: true });
      paths += 1;
      path = join(directory, String(paths));
      return path;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A process that has loaded everything and waits to be told. @returns tells it, and waits for the end */
export async function startBackupProcess(): Promise<(job: BackupJob) => Promise<BackupJobResult>> {
  const child = fork(program, [], { execArgv: [] });
  await once(child, "message");
  return async (job) => {
    child.send(job);
    const answer = Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => [{ error: `it ended with ${code}` }]),
    ]);
    const [{ result, error }] = (await answer) as [{ result?: BackupJobResult; error?: string }];
    if (result === undefined) throw new Error(`the job failed: ${error}`);
    return result;
  };
}

/** Takes a backup in tar format, compressed by the server, into a directory. */
export async function runBasebackup({ tools, url }: BackupServer, to: string): Promise<void> {
  const program = join(tools.directory, "pg_basebackup");
  const how = ["--format=tar", "--wal-method=stream", "--checkpoint=fast", "--compress=server-zstd:1"];
  await execute(program, [...how, `--pgdata=${to}`, `--dbname=${url}`], { env: { ...process.env, LC_MESSAGES: "C" } });
}

/** What the peers need: 15 of a distribution, which has zstd, and which the pgBackRest of today's knows. Else any. */
async function findServer(): Promise<Binaries> {
  const all = (await findBinaries({ path: process.env["PATH"] ?? "" })).filter(
    ({ server, problem }) => server && problem === undefined,
  );
  const able = all.filter(({ major, tools }) => major >= 15 && tools.includes("pg_basebackup"));
  const found = able.toSorted((a, b) => a.major - b.major)[0] ?? all[0];
  if (found === undefined) throw new Error("no PostgreSQL was found");
  return found;
}

async function digestOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ digest: string }>(digestSql);
  return rows[0]!.digest;
}
