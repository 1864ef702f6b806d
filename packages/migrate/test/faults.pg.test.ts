import type { Database, Progress, Queryable } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  MigrationFailedError,
  type MigrationStatus,
  migrationStatus,
  planMigrations,
} from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster<1>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, replicas: 1 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = () => freshPoolOn(cluster);

const indexes =
  "select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 't'::regclass";

describe("an index built concurrently", () => {
  test("that fails leaves no invalid index, and its correction goes on from there", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql": "create table t (id int);\ninsert into t values (1), (1);",
      "0002_i.sql": "create table before_it ();\ncreate unique index concurrently t_id on t (id);",
    });
    await using pool = await freshPool();
    const { directory } = files;
    const error = await applyMigrations(pool, await planMigrations(pool, { directory })).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(MigrationFailedError);
    expect((error as MigrationFailedError).report.failed).toMatchObject({
      id: "0002_i",
      statement: 1,
      outcome: "partial",
      sqlState: "23505",
    });
    expect((await pool.query(indexes)).rows).toEqual([]);
    const status = await migrationStatus(pool, { directory });
    expect(status.migrations[1]).toMatchObject({ state: "failed", statementsDone: 1, statements: 2 });

    await files.write({ "0002_i.sql": "create table before_it ();\ncreate index concurrently t_id on t (id);" });
    const report = await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect(report.applied[0]).toMatchObject({ id: "0002_i", resumedAt: 1, statements: [{ index: 1 }] });
  });

  test("is built anew where an invalid one of its name stands, even with IF NOT EXISTS", async () => {
    await using files = await makeWorkspace({
      "0001_i.sql": "create index concurrently if not exists t_id on t (id);",
    });
    await using pool = await freshPool();
    await pool.query("create table t (id int)");
    await pool.query("create index t_id on t (id)");
    await pool.query("update pg_index set indisvalid = false where indexrelid = 't_id'::regclass");
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    expect((await pool.query(indexes)).rows).toEqual([{ relname: "t_id", indisvalid: true }]);
  });

  test("goes on where its transaction was taken out of the file, without doing the first part again", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql": "create table t (id int);\ncreate index concurrently t_id on nobody (id);",
    });
    await using pool = await freshPool();
    const { directory } = files;
    await expect(applyMigrations(pool, await planMigrations(pool, { directory }))).rejects.toThrow("does not exist");
    await files.write({ "0001_t.sql": "create table t (id int);\ncreate table u (id int);" });
    const report = await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect(report.applied[0]).toMatchObject({ transactional: false, resumedAt: 1 });
  });
});

describe("a statement that takes its time", () => {
  test("is watched from a second session: what it waits for and whose lock that is", async () => {
    await using files = await makeWorkspace({ "0001_i.sql": "create index concurrently t_id on t (id);" });
    await using pool = await freshPool();
    await pool.query("create table t (id int)");
    const plan = await planMigrations(pool, { directory: files.directory });
    const blocker = await pool.connect();
    const { rows } = await blocker
      .query<{ pid: number }>("begin; lock table t in row exclusive mode; select 1")
      .then(() => blocker.query<{ pid: number }>("select pg_backend_pid() as pid"));
    const blockers: number[] = [];
    let during: Promise<MigrationStatus> | undefined;
    const report = await applyMigrations(pool, plan, {
      onEvent: (event) => {
        if (event.type !== "statement-waiting") return;
        blockers.push(...event.blockedBy);
        during ??= migrationStatus(pool, files).finally(() => void blocker.query("commit"));
      },
    });
    expect(await during).toMatchObject({
      runner: { application: "" },
      migrations: [{ state: "running", statementsDone: 0 }],
      findings: [{ id: "MIGRATE-RUNNING", title: "0001_i.sql is being run just now: 0 of 1 statements are done" }],
    });
    blocker.release();
    expect(blockers).toContain(rows[0]?.pid);
    expect(report.applied[0]?.statements[0]?.waitedMs).toBeGreaterThan(0);
  });

  test("tells how far the server is with CREATE INDEX while it is building", async () => {
    await using files = await makeWorkspace({ "0001_i.sql": "create index concurrently t_slow on t (slow(id));" });
    await using pool = await freshPool();
    // The build stands at one row until the test lets it go on, and the test does once it was told of it.
    await pool.query(`create table t (id int);
      insert into t select generate_series(1, 20000);
      create function slow(id int) returns int language plpgsql immutable as $$ begin
        while id = 15000 and not pg_try_advisory_lock_shared(42) loop perform pg_sleep(0.01); end loop;
        return id; end $$`);
    const plan = await planMigrations(pool, { directory: files.directory });
    const gate = await pool.connect();
    await gate.query("select pg_advisory_lock(42)");
    const progress: Progress[] = [];
    let opened: Promise<unknown> | undefined;
    const report = await applyMigrations(pool, plan, {
      onProgress: (each) => progress.push(each),
      onEvent: (event) => {
        if (event.type !== "statement-progress" || event.phase !== "building index: scanning table") return;
        const { unit, done, total } = event;
        if (unit === "blocks" && total !== null && (done ?? 0) > 0 && (done ?? 0) < total) {
          opened ??= gate.query("select pg_advisory_unlock(42)");
        }
      },
    });
    expect(opened, "the build went on because its progress was told").toBeDefined();
    await opened;
    gate.release();
    expect(report.applied[0]?.statements[0]?.locks).toEqual([{ relation: "public.t", mode: "ShareUpdateExclusive" }]);
    expect(progress).toContainEqual({
      phase: "statement: building index: scanning table",
      current: expect.any(Number) as number,
      total: expect.any(Number) as number,
      unit: "bytes",
      message: "0001_i.sql, building index: scanning table",
    });
  });
});

describe("an abort while a statement runs", () => {
  test("cancels it in its transaction: nothing stays, nothing is recorded, and the lock is free", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();\nselect pg_sleep(600);" });
    await using pool = await freshPool();
    const { directory } = files;
    const controller = new AbortController();
    const running = applyMigrations(pool, await planMigrations(pool, { directory }), { signal: controller.signal });
    await untilSleeping(pool);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: "CORE_ABORTED" });
    const status = await migrationStatus(pool, { directory });
    expect(status).toMatchObject({ runner: null, migrations: [{ state: "pending" }] });
    expect((await pool.query("select to_regclass('a') as t")).rows).toEqual([{ t: null }]);
  });

  test("cancels CREATE INDEX CONCURRENTLY though it waits for another transaction, and the next run builds it", async () => {
    await using files = await makeWorkspace({ "0001_i.sql": "create index concurrently t_id on t (id);" });
    await using pool = await freshPool();
    await pool.query("create table t (id int)");
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    const blocker = await pool.connect();
    await blocker.query("begin; lock table t in row exclusive mode");
    const controller = new AbortController();
    const running = applyMigrations(pool, plan, {
      signal: controller.signal,
      onEvent: (event) => event.type === "statement-waiting" && controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "CORE_ABORTED" });
    expect((await migrationStatus(pool, { directory })).migrations).toMatchObject([
      { state: "interrupted", statementsDone: 0 },
    ]);
    await blocker.query("commit");
    blocker.release();
    await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect((await pool.query(indexes)).rows).toEqual([{ relname: "t_id", indisvalid: true }]);
  });
});

/** Waits until a session of the database sleeps. */
async function untilSleeping(pool: Pool): Promise<void> {
  const sql = "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
  for (const until = Date.now() + 60_000; (await pool.query(sql)).rowCount === 0;) {
    if (Date.now() > until) throw new Error("no session came to its sleep");
  }
}

describe("a statement cut short outside a transaction", () => {
  test("stops the next run until the caller says whether it took effect", async () => {
    await using files = await makeWorkspace({
      "0001_p.sql":
        "create table t (id int);\ncreate procedure p() language plpgsql as $$ begin insert into t values (1); commit; end $$;",
      "0002_call.sql": "-- migrate:up transaction=false\ncall p();\ncreate table after_it ();",
    });
    await using pool = await freshPool();
    const { directory } = files;
    await applyMigrations(pool, await planMigrations(pool, { directory, to: "1" }));
    const plan = await planMigrations(pool, { directory });
    await applyMigrations(pool, plan);
    // As a runner killed while the call was under way would have left it.
    await pool.query("update db_migrate.history set state = 'running' where id = '0002_call'");
    await pool.query("delete from db_migrate.history_statements where migration_id = '0002_call' and position = 1");
    await pool.query("update db_migrate.history_statements set state = 'running' where migration_id = '0002_call'");
    await pool.query("drop table after_it");
    const again = await planMigrations(pool, { directory });
    await expect(applyMigrations(pool, again)).rejects.toMatchObject({ code: "MIGRATE_UNCERTAIN" });
    await applyMigrations(pool, again, { uncertain: "skip" });
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 1 }]);
    expect((await migrationStatus(pool, { directory })).pending).toBe(0);
  });
});

describe("what stands in the way", () => {
  test("another runner: the wait ends at its bound and names the holder", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    let entered: () => void = () => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    const first = applyMigrations(pool, plan, {
      beforeApply: () => {
        entered();
        return left;
      },
    });
    await inside;
    const status = await migrationStatus(pool, { directory: files.directory });
    expect(status.runner?.pid).toBeGreaterThan(0);
    const second = applyMigrations(pool, plan, { advisoryLockTimeoutMs: 60 });
    await expect(second).rejects.toMatchObject({
      code: "MIGRATE_LOCK_TIMEOUT",
      hint: expect.stringContaining(String(status.runner?.pid)) as string,
    });
    const aborted = applyMigrations(pool, plan, { signal: AbortSignal.timeout(30) });
    await expect(aborted).rejects.toMatchObject({ code: "CORE_ABORTED" });
    leave();
    expect((await first).applied).toHaveLength(1);
  });

  test("a standby and a read-only session", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    const standby = new Client({ connectionString: cluster.replicas[0].url });
    const readOnly = new Client({
      connectionString: cluster.primary.url,
      options: "-c default_transaction_read_only=on",
    });
    for (const client of [standby, readOnly]) {
      await client.connect();
      try {
        const plan = await planMigrations(client, { directory: files.directory });
        expect(plan.migrations).toHaveLength(1);
        await expect(applyMigrations(client, plan)).rejects.toMatchObject({ code: "MIGRATE_UNSUPPORTED_SERVER" });
      } finally {
        await client.end();
      }
    }
  });

  test("a pooler that changes the server process between statements", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    const clients = await Promise.all([pool.connect(), pool.connect()]);
    let turn = 0;
    const session: Queryable = {
      query: (text, values) => clients[turn++ % 2]!.query(text, values as unknown[]) as never,
    };
    const pooled: Database = {
      query: (text, values) => session.query(text, values),
      withSession: (use) => use(session),
      withTransaction: () => Promise.reject(new Error("not used")),
    };
    await expect(applyMigrations(pooled, plan)).rejects.toMatchObject({ code: "MIGRATE_TRANSACTION_POOLER" });
    for (const client of clients) client.release(true);
    expect((await migrationStatus(pool, { directory: files.directory })).pending).toBe(1);
  });

  test("a role that may not make the history, and a table of its name that is none", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    await using pool = await freshPool();
    const { directory } = files;
    await pool.query("create role visitor");
    try {
      const client = await pool.connect();
      await client.query("set role visitor");
      const db = Object.assign(client, { host: "", port: 0 });
      const plan = await planMigrations(db, { directory });
      await expect(applyMigrations(db, plan)).rejects.toMatchObject({
        code: "MIGRATE_HISTORY",
        hint: expect.stringContaining("Grant CREATE") as string,
      });
      client.release(true);
    } finally {
      await pool.query("drop role visitor");
    }
    await pool.query("create schema own; create table own.history (what text)");
    await expect(planMigrations(pool, { directory, schema: "own" })).rejects.toMatchObject({ code: "MIGRATE_HISTORY" });
  });

  test("a connection lost in a migration: nothing stays, the status says pending, the next apply finishes", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a ();\nselect pg_terminate_backend(pg_backend_pid());",
    });
    await using pool = await freshPool();
    pool.on("error", () => undefined);
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    await expect(applyMigrations(pool, plan)).rejects.toMatchObject({ code: "MIGRATE_FAILED" });
    expect((await migrationStatus(pool, { directory })).migrations[0]?.state).toBe("pending");
    expect((await pool.query("select to_regclass('a') as t")).rows).toEqual([{ t: null }]);
    await files.write({ "0001_a.sql": "create table a ();" });
    await applyMigrations(pool, await planMigrations(pool, { directory }));
  });
});
