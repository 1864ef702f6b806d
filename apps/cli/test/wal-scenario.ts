import { appendFile, chmod, chown, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findBinaries, installBinaries, serverAccount, sharedDirectory, startTemporaryCluster } from "@db/embedded";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { expect } from "vitest";
import { binary, type Ended, runDb, startDb } from "./binary.ts";

const encryptionKey = "correct horse battery staple";

/** What a scenario works with: a server, a repository both the server and `db` may use, and `db` itself. */
export interface WalPlace extends AsyncDisposable {
  readonly cluster: TestCluster<0>;
  readonly client: Client;
  readonly repository: string;
  readonly folder: string;
  readonly db: (...args: string[]) => Promise<Ended>;
  start(...args: string[]): ReturnType<typeof startDb>;
  /** A command for archive_command or restore_command. */
  command(words: string): string;
  json<T>(...args: string[]): Promise<T>;
}

export async function openWalPlace(version: number): Promise<WalPlace> {
  const account = await serverAccount();
  const folder = await mkdtemp(join(await sharedDirectory("temporary", account), "wal-cli-"));
  await chmod(folder, 0o755);
  if (account) await chown(folder, account.uid, account.gid);
  const keyFile = join(folder, "key");
  await writeFile(keyFile, `${encryptionKey}\n`, { mode: 0o644 });
  const repository = join(folder, "repository");
  const command = (words: string): string =>
    `BACKUP_ENCRYPTION_KEY_FILE=${keyFile} "${process.execPath}" "${binary}" wal ${words} --repo "${repository}"`;
  const cluster = await startCluster({
    version,
    initdbArguments: ["--wal-segsize=1"],
    settings: { archive_mode: "on", archive_command: "exit 2", wal_level: "replica" },
  });
  const client = await cluster.connect();
  const options = {
    cwd: folder,
    account,
    env: { DATABASE_URL: cluster.primary.url, BACKUP_PATH: repository, BACKUP_ENCRYPTION_KEY_FILE: keyFile },
  };
  const db = (...args: string[]): Promise<Ended> => runDb(args, options);
  return {
    cluster,
    client,
    repository,
    folder,
    command,
    db,
    start: (...args) => startDb(args, options),
    json: async <T>(...args: string[]): Promise<T> => {
      const { stdout, stderr } = await db(...args, "--json");
      expect(stderr).toBe("");
      return (JSON.parse(stdout) as { data: T }).data;
    },
    async [Symbol.asyncDispose]() {
      await client.end();
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Archives through `db wal push`, recovers through `db wal fetch`, and stops recovery when a stored segment is broken. */
export async function archiveAndRecover(place: WalPlace): Promise<void> {
  const { client, cluster, folder, db } = place;
  expect(await db("backup", "run")).toMatchObject({ code: 0 });
  await cluster.primary.reconfigure({ archive_command: place.command("push %p") });
  await client.query("create table ledger as select generate_series(1, 1000) as n");
  const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_current_wal_lsn()) as name");
  await client.query("insert into ledger select generate_series(1001, 30000)");
  const { rows: last } = await client.query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
  await archived(client, last[0]!.name);
  const states = await place.json<{ clusters: { lastSegment: string; findings: unknown[] }[] }>("wal", "status");
  expect(states.clusters).toMatchObject([{ lastSegment: last[0]!.name, findings: [] }]);

  const restored = join(folder, "restored");
  expect(await db("restore", "run", "--to", restored)).toMatchObject({ code: 0 });
  await recoverThrough(restored, place.command("fetch %f %p"));
  expect(await countIn(restored)).toBe(30_000);

  const broken = join(folder, "broken");
  expect(await db("restore", "run", "--to", broken)).toMatchObject({ code: 0 });
  await flipOneBit(place.repository, rows[0]!.name);
  await recoverThrough(broken, place.command("fetch %f %p"));
  // Recovery must stop there and not end early: a server without the later rows would look well.
  await expect(countIn(broken)).rejects.toThrow();
}

/** Receives through a slot until it is told to stop, with the tail of the segment that was never finished. */
export async function receiveAndStop(place: WalPlace): Promise<void> {
  const { client } = place;
  const repository = join(place.folder, "received");
  const receiving = place.start("wal", "receive", "--repo", repository, "--slot", "by_test", "--tail", "200ms");
  await receiving.printed("receiving WAL of cluster");
  await client.query("create table received as select generate_series(1, 20000) as n");
  const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
  const status = ["wal", "status", "--repo", repository];
  type Status = { clusters: { position: { lsn: string } | null; gaps: unknown[] }[] };
  const reached = async (): Promise<boolean> => {
    const { clusters } = await place.json<Status>(...status);
    const at = clusters[0]?.position?.lsn ?? "0/0";
    return (await client.query<{ ok: boolean }>("select $1::pg_lsn >= $2::pg_lsn as ok", [at, rows[0]!.lsn])).rows[0]!
      .ok;
  };
  await expect.poll(reached, { timeout: 30_000 }).toBe(true);
  process.kill(receiving.child.pid!, "SIGINT");
  const ended = await receiving.ended;
  expect(ended).toMatchObject({ code: 0 });
  // The server's slot was told of no more than is stored.
  const slot = await client.query<{ behind: boolean }>(
    "select restart_lsn <= $1::pg_lsn as behind from pg_replication_slots where slot_name = 'by_test'",
    [/everything before (\S+) is stored/.exec(ended.stdout)?.[1]],
  );
  expect(slot.rows).toEqual([{ behind: true }]);
  expect(await place.json("wal", "gaps", "--repo", repository)).toEqual({ gaps: [] });
}

async function archived(client: Client, name: string): Promise<void> {
  await expect
    .poll(async () => (await client.query("select last_archived_wal >= $1 as ok from pg_stat_archiver", [name])).rows, {
      timeout: 60_000,
    })
    .toEqual([{ ok: true }]);
}

/** Has a restored cluster go on with what the archive has, as an operator would by hand. */
async function recoverThrough(directory: string, command: string): Promise<void> {
  const settings = ["restore_command", "recovery_target_timeline", "recovery_target"] as const;
  const values = [command.replaceAll("'", "''"), "latest", ""];
  const lines = settings.map((name, index) => `${name} = '${values[index]}'\n`);
  await appendFile(join(directory, "postgresql.auto.conf"), lines.join(""));
}

async function countIn(dataDirectory: string): Promise<number> {
  const version = Number(await readFile(join(dataDirectory, "PG_VERSION"), "utf8"));
  const cacheDirectory = await sharedDirectory("programs", await serverAccount());
  const here = (await findBinaries()).find(({ major, server, problem }) => major === version && server && !problem);
  const binaries = here ?? (await installBinaries({ version, cacheDirectory }));
  const given = { dataDirectory, binaries, username: "postgres", password: "postgres" };
  await using server = await startTemporaryCluster(given);
  const restored = new Client({ connectionString: server.url });
  // The server may end while it is asked; the question then fails.
  restored.on("error", () => undefined);
  await restored.connect();
  try {
    // A server that recovers answers as a standby long before it has all.
    for (let recovering = true; recovering;) {
      const { rows } = await restored.query<{ recovering: boolean }>("select pg_is_in_recovery() as recovering");
      recovering = rows[0]!.recovering;
    }
    return (await restored.query<{ n: number }>("select count(*)::int as n from ledger")).rows[0]!.n;
  } finally {
    await restored.end().catch(() => undefined);
  }
}

async function flipOneBit(repository: string, segment: string): Promise<void> {
  const object = (await readdir(repository, { recursive: true })).find((name) => name.includes(`${segment}-`))!;
  const stored = Buffer.from(await readFile(join(repository, object)));
  stored[stored.length >> 1]! ^= 1;
  await chmod(join(repository, object), 0o600);
  await writeFile(join(repository, object), stored);
}
