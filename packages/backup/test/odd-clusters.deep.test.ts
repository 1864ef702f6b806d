import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBackup, openRepository, planRestore, restoreBackup, runRestoreDrill, verifyBackup } from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

const encryptionKey = "6a".repeat(32);

/** A backup, verified as deep as it goes, restored, started, and compared table by table. */
async function provesItself(cluster: TestCluster<0>, prepare: readonly string[]): Promise<void> {
  await using scratch = await scratchDirectory();
  const client = await cluster.connect();
  try {
    for (const sql of prepare) await client.query(sql);
    const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey });
    const { label } = await createBackup({ url: cluster.primary.url, repository });
    await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
    const owner = await restoredOwner();
    const report = await runRestoreDrill({ repository, startCluster: startRestored, owner, compareWith: client });
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ ok: true, comparison: { equal: true } });
    expect(report.comparison!.tables.length).toBeGreaterThan(0);
  } finally {
    await client.end();
  }
}

test("a cluster without page checksums", async () => {
  await using cluster = await startCluster({ initdbArguments: ["--no-data-checksums"] });
  await provesItself(cluster, ["create table plain as select generate_series(1, 1000) as n"]);
});

test("segments of 64 MB, and a database, a schema and a tablespace with names beyond ASCII", async () => {
  await using cluster = await startCluster({ initdbArguments: ["--wal-segsize=64"], tablespaces: ["größe"] });
  await provesItself(cluster, [
    'create database "данные 数据 ü"',
    'create schema "Ünïcode"',
    'create table "Ünïcode"."表 ""1""" tablespace "größe" as select n, md5(n::text) as "ключ" from generate_series(1, 5000) n',
  ]);
});

test("a thousand tables and their indexes: a file each, most of them empty", async () => {
  await using cluster = await startCluster({ settings: { max_locks_per_transaction: "2000" } });
  const many =
    "do $$ begin for n in 1..1000 loop execute format('create table many_%s (id int primary key, t text)', n); end loop; end $$";
  await provesItself(cluster, [many, "insert into many_7 select n, 'x' from generate_series(1, 100) n"]);
});

test("a backup that spans checkpoints, vacuums and tables that come and go", async () => {
  await using cluster = await startCluster({
    settings: { max_wal_size: "4MB", min_wal_size: "2MB" },
    initdbArguments: ["--wal-segsize=1"],
  });
  await using scratch = await scratchDirectory();
  const client = await cluster.connect();
  await client.query("create table steady as select n, repeat(md5(n::text), 10) as t from generate_series(1, 50000) n");
  const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey });
  const stop = new AbortController();
  const storm = (async () => {
    const writer = await cluster.connect();
    for (let n = 0; !stop.signal.aborted; n++) {
      await writer.query(`create table passing_${n} as select generate_series(1, 500) as n`);
      await writer.query("update steady set t = t || 'x' where n % 97 = $1::int % 97", [n]);
      await writer.query("checkpoint");
      if (n > 2) await writer.query(`drop table passing_${n - 3}`);
      if (n % 5 === 0) await writer.query("vacuum steady");
    }
    await writer.end();
  })();
  const report = await createBackup({ url: cluster.primary.url, repository, maxRateBytes: 12 * 1024 * 1024 }).finally(
    () => stop.abort(),
  );
  await storm;
  expect(report.walBytes).toBeGreaterThan(4 * 1024 * 1024);
  await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  let rows = 0;
  const drill = await runRestoreDrill({
    repository,
    startCluster: startRestored,
    owner: await restoredOwner(),
    verify: async (db) => {
      rows = (await db.query<{ n: number }>("select count(*)::int as n from steady where t like md5(n::text) || '%'"))
        .rows[0]!.n;
      return [];
    },
  });
  expect([drill.findings, rows]).toEqual([[], 50_000]);
  await client.end();
});

test("a data directory its group may read is restored with the group's rights", async () => {
  await using cluster = await startCluster({ initdbArguments: ["--allow-group-access"] });
  await using scratch = await scratchDirectory();
  const repository = await openRepository(join(scratch.path, "repository"));
  await createBackup({ url: cluster.primary.url, repository });
  const directory = join(scratch.path, "data");
  await restoreBackup({ repository, plan: await planRestore({ repository, directory }), durable: false });
  const modes = async (name: string): Promise<string> => ((await stat(join(directory, name))).mode & 0o777).toString(8);
  expect(await Promise.all([".", "global", "pg_wal", "base"].map(modes))).toEqual(["750", "750", "750", "750"]);
  const files = ["PG_VERSION", "global/pg_control", "postgresql.auto.conf", "recovery.signal"];
  expect(await Promise.all(files.map(modes))).toEqual(["640", "640", "640", "640"]);
});

test("a file name that is not UTF-8 is refused with what to do, and the backup works without it", async () => {
  await using cluster = await startCluster();
  await using scratch = await scratchDirectory();
  const repository = await openRepository(join(scratch.path, "repository"));
  const strange = Buffer.concat([Buffer.from(`${cluster.primary.dataDirectory}/caf`), Buffer.from([0xe9])]);
  const { uid, gid } = await stat(cluster.primary.dataDirectory);
  await writeFile(strange, "left here", { mode: 0o644 });
  if (process.getuid?.() === 0) await (await import("node:fs/promises")).chown(strange, uid, gid);
  await expect(createBackup({ url: cluster.primary.url, repository })).rejects.toMatchObject({
    code: "BACKUP_UNSAFE_PATH",
    hint: expect.stringContaining("Rename the file"),
  });
  await rm(strange);
  await expect(createBackup({ url: cluster.primary.url, repository })).resolves.toMatchObject({ status: "complete" });
});

test("a tablespace whose disk is not there is refused before anything is made, and goes where it is told", async () => {
  await using cluster = await startCluster({ tablespaces: ["side"] });
  await using scratch = await scratchDirectory();
  const repository = await openRepository(join(scratch.path, "repository"));
  const { tablespaces } = await createBackup({ url: cluster.primary.url, repository });
  await cluster.stop();
  const directory = join(scratch.path, "data");
  await expect(planRestore({ repository, directory })).rejects.toMatchObject({
    code: "BACKUP_INVALID_OPTIONS",
    message: expect.stringContaining(`tablespace ${tablespaces[0]!.oid} was in`),
    hint: expect.stringContaining("--tablespace"),
  });
  expect(await readdir(scratch.path)).toEqual(["repository"]);
  await mkdir(join(scratch.path, "elsewhere"));
  const moved = { [tablespaces[0]!.oid]: join(scratch.path, "elsewhere", "side") };
  await restoreBackup({
    repository,
    plan: await planRestore({ repository, directory, tablespaces: moved }),
    durable: false,
  });
  expect((await readdir(join(scratch.path, "elsewhere", "side"))).length).toBeGreaterThan(0);
});
