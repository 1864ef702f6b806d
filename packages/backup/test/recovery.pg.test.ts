import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { createBackup, openRepository, planRestore, type RecoveryTarget, runRestoreDrill, walPush } from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratchDirectory, startRestored, restoredOwner } from "./restored-cluster.ts";

let cluster: TestCluster<1>;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

async function rowsOf(client: Client, sql: string): Promise<number[]> {
  const { rows } = await client.query<{ n: number }>(sql);
  return rows.map(({ n }) => n);
}

/** Waits until the standby has replayed what the primary has written, a checkpoint included. */
async function standbyCatchesUp(client: Client): Promise<void> {
  await client.query("checkpoint");
  const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn()::text as lsn");
  const standby = await cluster.replicas[0].connect();
  for (;;) {
    const caught = await standby.query("select 1 where pg_last_wal_replay_lsn() >= $1::pg_lsn", [rows[0]!.lsn]);
    if (caught.rowCount === 1) break;
  }
  await standby.end();
}

test("restores an older backup up to an LSN or to the latest WAL that later backups brought", async () => {
  const client = await cluster.connect();
  const repository = await openRepository(join(scratch.path, "lsn"));
  await client.query("create table ledger (n int)");
  await standbyCatchesUp(client);
  // A standby's backup ends inside a segment and the next one begins there: together they have no gap.
  const { url } = cluster.replicas[0];
  const { label } = await createBackup({ url, repository });
  const marks: string[] = [];
  for (const n of [1, 2, 3]) {
    await client.query("insert into ledger values ($1)", [n]);
    const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
    marks.push(rows[0]!.lsn);
  }
  await client.query("insert into ledger values (4)");
  await standbyCatchesUp(client);
  await createBackup({ url, repository });
  const restoredRows = async (target: RecoveryTarget): Promise<number[]> => {
    let found: number[] = [];
    const verify = async (db: { query: Client["query"] }): Promise<[]> => {
      found = await rowsOf(db as Client, "select n from ledger order by n");
      return [];
    };
    const owner = await restoredOwner();
    const report = await runRestoreDrill({
      repository,
      label,
      target,
      startCluster: startRestored,
      owner,
      verify: verify as never,
    });
    expect(report.findings).toEqual([]);
    return found;
  };
  await expect(restoredRows({ type: "immediate" })).resolves.toEqual([]);
  await expect(restoredRows({ type: "lsn", lsn: marks[1]! })).resolves.toEqual([1, 2]);
  await expect(restoredRows({ type: "latest" })).resolves.toEqual([1, 2, 3, 4]);
  await client.end();
});

test("takes a backup from a standby, whose last WAL segment is not whole yet", async () => {
  const client = await cluster.connect();
  await client.query("create table from_standby as select generate_series(1, 100) as n");
  await standbyCatchesUp(client);
  const repository = await openRepository(join(scratch.path, "standby"), { encryptionKey: "correct horse battery" });
  const backup = await createBackup({ url: cluster.replicas[0].url, repository });
  expect(backup.fromStandby).toBe(true);
  const report = await runRestoreDrill({
    repository,
    startCluster: startRestored,
    owner: await restoredOwner(),
    compareWith: client,
  });
  expect(report.findings).toEqual([]);
  expect(report.comparison?.tables.find(({ table }) => table === "from_standby")).toMatchObject({ restoredRows: 100 });
  await client.end();
});

test("the rescue script alone restores an encrypted backup, and goes on with the archived WAL", async () => {
  const client = await cluster.connect();
  await client.query("create table rescued as select generate_series(1, 1000) as n");
  const encryptionKey = "correct horse battery";
  const repository = await openRepository(join(scratch.path, "rescue"), { encryptionKey });
  const { label } = await createBackup({ url: cluster.primary.url, repository });
  const script = join(repository.location, "rescue.mjs");
  const environment = { env: { ...process.env, BACKUP_ENCRYPTION_KEY: encryptionKey } };
  const rescue = (...words: string[]) => promisify(execFile)(process.execPath, [script, ...words], environment);
  expect((await rescue("list")).stdout).toContain(label);
  await client.query("insert into rescued select generate_series(1001, 1500)");
  const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
  for (const name of await walBefore(rows[0]!.name)) await walPush({ repository, path: name });
  const rowsAfter = async (directory: string): Promise<number[]> => {
    // The way to the data is opened, not the data: a server refuses a data directory that others may enter.
    await promisify(execFile)("chmod", ["go+x", scratch.path, dirname(directory)]);
    const server = await startRestored(directory, { major: 18, signal: undefined });
    const restored = new Client({ connectionString: server.url });
    await restored.connect();
    for (;;) if ((await restored.query("select 1 where not pg_is_in_recovery()")).rowCount === 1) break;
    const found = await rowsOf(restored, "select count(*)::int as n from rescued");
    await restored.end();
    await server.stop();
    return found;
  };
  const data = join(scratch.path, "rescued", "data");
  await rescue("restore", label, data);
  expect(await rowsAfter(data)).toEqual([1000]);
  const further = join(scratch.path, "further", "data");
  await rescue("restore", label, further);
  // The server's account may not read this repository: what it would ask for is brought by hand, under the same names.
  for (const name of await walBefore(rows[0]!.name))
    await rescue("wal", basename(name), join(further, "pg_wal", basename(name)));
  expect(await rowsAfter(further)).toEqual([1500]);
  await expect(rescue("wal", "0000000100000FFF00000001", "x")).rejects.toMatchObject({ code: 1 });
  const [stored] = (await readdir(repository.location, { recursive: true })).filter((name) =>
    name.includes(`${rows[0]!.name}-`),
  );
  const bytes = await readFile(join(repository.location, stored!));
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(join(repository.location, stored!), bytes);
  await expect(rescue("wal", rows[0]!.name, "x")).rejects.toMatchObject({ code: 255 });
  const { BACKUP_ENCRYPTION_KEY: _key, ...keyless } = environment.env;
  const words = [script, "wal", rows[0]!.name, "x"];
  await expect(promisify(execFile)(process.execPath, words, { env: keyless })).rejects.toMatchObject({ code: 255 });
  const wrong = { env: { ...process.env, BACKUP_ENCRYPTION_KEY: "not the right passphrase" } };
  const refused = promisify(execFile)(process.execPath, [script, "restore", label, join(scratch.path, "no")], wrong);
  await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining("wrong key") });
  await client.end();
});

/** The server's segments up to one, that one included. */
async function walBefore(last: string): Promise<string[]> {
  const directory = join(cluster.primary.dataDirectory, "pg_wal");
  const names = (await readdir(directory)).filter((name) => /^[0-9A-F]{24}$/.test(name) && name <= last);
  return names.sort().map((name) => join(directory, name));
}

test("plans a time beyond the stored WAL as unreachable, and picks the backup before a time by itself", async () => {
  const repository = await openRepository(join(scratch.path, "lsn"));
  const directory = join(scratch.path, "never");
  const target = { type: "time", time: new Date(Date.now() + 3_600_000).toISOString() } as const;
  await expect(planRestore({ repository, directory, target })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
  });
  const early = { type: "time", time: "2020-01-01T00:00:00Z" } as const;
  await expect(planRestore({ repository, directory, target: early })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
    message: expect.stringContaining("before the end of backup"),
  });
});
