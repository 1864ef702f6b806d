import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  listBackups,
  openRepository,
  planRestore,
  type Repository,
  restoreBackup,
  runRestoreDrill,
  verifyBackup,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

const encryptionKey = "correct horse battery staple";
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let repository: Repository;
let label: string;

const schemaSql = /* sql */ `
  create table bill (id bigint generated always as identity primary key, title text not null, amount numeric(12, 2),
                     filed timestamptz, "t" text, payload jsonb);
  insert into bill (title, amount, filed, "t", payload)
  select 'bill ' || n, n * 1.5, timestamptz '2026-01-01 00:00Z' + n * interval '1 hour', md5(n::text),
         jsonb_build_object('n', n)
    from generate_series(1, 20000) n;
  create schema "Other Schema";
  create table "Other Schema"."weird ""name" (v float8) partition by range (v);
  create table "Other Schema".low partition of "Other Schema"."weird ""name" for values from (minvalue) to (0.5);
  create table "Other Schema".high partition of "Other Schema"."weird ""name" for values from (0.5) to (maxvalue);
  insert into "Other Schema"."weird ""name" select n / 100.0 from generate_series(1, 100) n;
  create unlogged table scratch as select 1 as one;
  create table empty ();
  create materialized view totals as select count(*) from bill;
  create sequence ticket start 100 increment 5;
  select nextval('ticket'), nextval('ticket');
`;

beforeAll(async () => {
  cluster = await startCluster({ tablespaces: ["side"] });
  scratch = await scratchDirectory();
  const client = await cluster.connect();
  await client.query(schemaSql);
  await client.query("create table moved (id int) tablespace side");
  await client.query("insert into moved select generate_series(1, 1000)");
  await client.end();
  repository = await openRepository(join(scratch.path, "repository"), { encryptionKey });
  const report = await createBackup({ url: cluster.primary.url, repository });
  label = report.label;
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

describe("a backup", () => {
  test("lists with its size, positions and tablespaces, and needs no key for it", async () => {
    const [backup, ...others] = await listBackups(await openRepository(repository.location));
    expect(others).toEqual([]);
    expect(backup).toMatchObject({ label, type: "full", status: "complete", encrypted: true, timeline: 1 });
    expect(backup?.tablespaces).toEqual([
      { oid: expect.any(String), location: expect.stringContaining("tablespace-side") },
    ]);
    expect(backup!.storedBytes).toBeLessThan(backup!.bytes / 2);
  });

  test("restores into a server that holds the same rows, checked in a drill", async () => {
    const source = await cluster.connect();
    try {
      const report = await runRestoreDrill({
        repository,
        startCluster: startRestored,
        owner: await restoredOwner(),
        compareWith: source,
        verify: async (db) => {
          const { rows } = await db.query<{ n: string }>("select count(*) as n from bill");
          return rows[0]?.n === "20000" ? [] : [{ id: "TEST", severity: "critical", title: "rows are missing" }];
        },
      });
      expect(report.findings).toEqual([]);
      expect(report).toMatchObject({ ok: true, label, comparison: { equal: true, skipped: ["public.scratch"] } });
      expect(report.comparison?.tables.map(({ table, sourceRows }) => [table, sourceRows])).toEqual([
        ["high", 51],
        ["low", 49],
        ["bill", 20_000],
        ["empty", 0],
        ["moved", 1_000],
        ["totals", 1],
      ]);
      expect(report.comparison?.sequences.map(({ sequence }) => sequence)).toEqual(["bill_id_seq", "ticket"]);
      expect(report.recoveryMs).toBeGreaterThan(0);
      expect((await listBackups(repository))[0]?.verifiedAt).toMatch(/^\d{4}-/);
    } finally {
      await source.end();
    }
  });

  test("shows every table that differs from the live database in a drill", async () => {
    const source = await cluster.connect();
    try {
      await source.query("begin");
      await source.query("update bill set title = title || '!' where id = 77");
      await source.query("commit");
      const report = await runRestoreDrill({
        repository,
        startCluster: startRestored,
        owner: await restoredOwner(),
        compareWith: source,
      });
      expect(report.ok).toBe(false);
      expect(report.findings).toMatchObject([{ id: "DRILL-DIFFERENT", observed: 1 }]);
      expect(report.comparison?.tables.filter(({ equal }) => !equal)).toMatchObject([{ table: "bill" }]);
      await source.query("update bill set title = 'bill 77' where id = 77");
    } finally {
      await source.end();
    }
  });

  test("restores with private modes, without leftovers, and with tablespaces moved", async () => {
    const directory = join(scratch.path, "data");
    const oid = (await listBackups(repository))[0]!.tablespaces[0]!.oid;
    const side = join(scratch.path, "side");
    const plan = await planRestore({ repository, directory, tablespaces: { [oid]: side } });
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    const phases = new Set<string>();
    const report = await restoreBackup({ repository, plan, onProgress: ({ phase }) => phases.add(phase) });
    expect(report.files).toBeGreaterThan(900);
    expect([...phases]).toEqual(["restore", "sync"]);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, "global/pg_control"))).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).not.toContain("restore.unfinished");
    expect(await readdir(join(directory, "global"))).not.toContain("pg_control.unfinished");
    expect((await readdir(side)).some((name) => name.startsWith("PG_18_"))).toBe(true);
    const settings = await readFile(join(directory, "postgresql.auto.conf"), "utf8");
    expect(settings).toContain("recovery_target_action = 'promote'");
    await expect(
      planRestore({ repository, directory, tablespaces: { [oid]: join(scratch.path, "new") } }),
    ).rejects.toMatchObject({
      code: "BACKUP_DIRECTORY_NOT_EMPTY",
      message: expect.stringContaining("a cluster"),
    });
  });

  test("verifies at every depth and remembers it", async () => {
    for (const depth of ["listing", "checksums", "deep"] as const) {
      const report = await verifyBackup({ repository, depth });
      expect(report.findings).toEqual([]);
      expect(report.ok).toBe(true);
    }
    expect((await listBackups(repository))[0]?.verifiedAt).toMatch(/^\d{4}-/);
  });

  test("verifies its checksums without a key", async () => {
    const locked = await openRepository(repository.location);
    await expect(verifyBackup({ repository: locked, depth: "checksums" })).resolves.toMatchObject({ ok: true });
    await expect(verifyBackup({ repository: locked, depth: "deep" })).rejects.toMatchObject({
      code: "BACKUP_MISSING_KEY",
    });
  });
});

describe("what is refused before anything is written", () => {
  test("a wrong key, a missing key, and a key for a plain repository", async () => {
    await expect(openRepository(repository.location, { encryptionKey: "another passphrase" })).rejects.toMatchObject({
      code: "BACKUP_WRONG_KEY",
    });
    await expect(openRepository(repository.location, { encryptionKey: "short" })).rejects.toMatchObject({
      code: "BACKUP_INVALID_KEY",
    });
    const locked = await openRepository(repository.location);
    const directory = join(scratch.path, "never");
    await expect(planRestore({ repository: locked, directory })).rejects.toMatchObject({ code: "BACKUP_MISSING_KEY" });
    await expect(createBackup({ url: cluster.primary.url, repository: locked })).rejects.toMatchObject({
      code: "BACKUP_MISSING_KEY",
    });
    expect(await listBackups(repository)).toHaveLength(1);
  });

  test("a restore into a directory that holds something", async () => {
    const directory = join(scratch.path, "full");
    await import("node:fs/promises").then(({ mkdir }) => mkdir(directory));
    await writeFile(join(directory, "precious.txt"), "mine");
    await expect(planRestore({ repository, directory })).rejects.toMatchObject({ code: "BACKUP_DIRECTORY_NOT_EMPTY" });
    await expect(readFile(join(directory, "precious.txt"), "utf8")).resolves.toBe("mine");
  });

  test("another major version, an unknown label, a relative directory, a target outside the stored WAL", async () => {
    const directory = join(scratch.path, "never");
    const plan = (more: object): Promise<unknown> => planRestore({ repository, directory, ...more });
    await expect(plan({ serverMajor: 17 })).rejects.toMatchObject({ code: "BACKUP_WRONG_MAJOR" });
    await expect(plan({ label: "20200101-000000F" })).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
    await expect(plan({ directory: "relative" })).rejects.toMatchObject({ code: "BACKUP_INVALID_OPTIONS" });
    await expect(plan({ target: { type: "lsn", lsn: "0/1" } })).rejects.toMatchObject({
      code: "BACKUP_TARGET_UNREACHABLE",
    });
    await expect(plan({ target: { type: "lsn", lsn: "F/0" } })).rejects.toMatchObject({
      code: "BACKUP_TARGET_UNREACHABLE",
      message: expect.stringContaining("beyond the stored WAL"),
    });
    await expect(plan({ target: { type: "time", time: "2026-11-10 03:00" } })).rejects.toMatchObject({
      code: "BACKUP_INVALID_TARGET",
    });
  });
});

describe("a server that refuses", () => {
  test("a role without REPLICATION is told the statement that gives it", async () => {
    const admin = await cluster.connect();
    await admin.query("create role plain login password 'plain'");
    await admin.end();
    const url = new URL(cluster.primary.url);
    url.username = url.password = "plain";
    await expect(createBackup({ url: url.href, repository })).rejects.toMatchObject({
      code: "BACKUP_REPLICATION_REFUSED",
      reason: "role",
      hint: "Run as a superuser: alter role plain replication;",
    });
  });

  test("a role with REPLICATION and no more takes a backup", async () => {
    const admin = await cluster.connect();
    await admin.query("create role saver login replication password 'saver'");
    await admin.query("alter role saver set statement_timeout = '1ms'");
    await admin.end();
    const url = new URL(cluster.primary.url);
    url.username = url.password = "saver";
    const other = await openRepository(join(scratch.path, "by-role"));
    await expect(createBackup({ url: url.href, repository: other })).resolves.toMatchObject({ status: "complete" });
  });

  test("an address nobody listens on", async () => {
    const url = new URL(cluster.primary.url);
    url.port = "1";
    await expect(createBackup({ url: url.href, repository })).rejects.toMatchObject({
      code: "BACKUP_CONNECTION",
      retryable: true,
    });
  });

  test("a second backup at the same time", async () => {
    const client = new Client({ connectionString: cluster.primary.url });
    await client.connect();
    await client.query("select pg_advisory_lock(1684168299, 1)");
    await expect(createBackup({ url: cluster.primary.url, repository })).rejects.toMatchObject({
      code: "BACKUP_IN_PROGRESS",
    });
    await client.end();
  });
});

describe("an aborted backup", () => {
  test("ends at once, leaves nothing, and the next one works", async () => {
    const other = await openRepository(join(scratch.path, "aborted"), { encryptionKey });
    const controller = new AbortController();
    const running = createBackup({
      url: cluster.primary.url,
      repository: other,
      signal: controller.signal,
      onProgress: ({ current }) => current > 1_000_000 && controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "CORE_ABORTED" });
    await expect(listBackups(other)).resolves.toEqual([]);
    const left = await readdir(other.location, { recursive: true });
    expect(left.filter((name) => /sealed|unfinished|keys\//.test(name))).toEqual([]);
    await expect(createBackup({ url: cluster.primary.url, repository: other })).resolves.toMatchObject({
      status: "complete",
    });
  });
});
