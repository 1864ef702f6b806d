import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  MigrationFailedError,
  type MigrationPlan,
  migrationStatus,
  planBaseline,
  planMigrations,
  planRollback,
  StalePlanError,
} from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

/** A pool on a database of its own, ended with the test. */
const freshPool = () => freshPoolOn(cluster);

const users = `-- migrate:up
create table users (id bigint generated always as identity primary key, name text not null);
insert into users (name) values ('a; b'), ('c');
-- migrate:verify
select count(*) = 2 from users;
-- migrate:down
drop table users;
`;
const email = `-- migrate:up
alter table users add column email text;
-- migrate:down
alter table users drop column email;
`;
const concurrent = `-- migrate:up
create index concurrently users_email on users (email);
alter table users add column seen timestamptz;
-- migrate:down
alter table users drop column seen;
drop index concurrently users_email;
`;

describe("applyMigrations", () => {
  test("applies what is pending in order and leaves a history people can read", async () => {
    await using files = await makeWorkspace({
      "0001_users.sql": users,
      "0002_email.sql": email,
      "0003_index.sql": concurrent,
    });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    expect(plan.findings).toEqual([]);
    expect(plan.migrations.map(({ id, transactional }) => [id, transactional])).toEqual([
      ["0001_users", true],
      ["0002_email", true],
      ["0003_index", false],
    ]);
    const untouched = await pool.query("select count(*)::int as n from pg_namespace where nspname = 'db_migrate'");
    expect(untouched.rows).toEqual([{ n: 0 }]);

    const report = await applyMigrations(pool, JSON.parse(JSON.stringify(plan)) as MigrationPlan);
    expect(report.applied.map(({ id, statements }) => [id, statements.length])).toEqual([
      ["0001_users", 2],
      ["0002_email", 1],
      ["0003_index", 2],
    ]);
    expect(report.applied[0]?.statements[1]?.rows).toBe(2);
    const { rows } = await pool.query(
      "select id, state, sequence, transactional, statements_done, duration_ms > 0 as timed, applied_by from db_migrate.history order by sequence",
    );
    expect(rows).toEqual([
      {
        id: "0001_users",
        state: "applied",
        sequence: 1,
        transactional: true,
        statements_done: 2,
        timed: true,
        applied_by: "postgres",
      },
      {
        id: "0002_email",
        state: "applied",
        sequence: 2,
        transactional: true,
        statements_done: 1,
        timed: true,
        applied_by: "postgres",
      },
      {
        id: "0003_index",
        state: "applied",
        sequence: 3,
        transactional: false,
        statements_done: 2,
        timed: true,
        applied_by: "postgres",
      },
    ]);
    const status = await migrationStatus(pool, { directory: files.directory });
    expect(status).toMatchObject({ current: "0003_index", applied: 3, pending: 0, findings: [], runner: null });
    const again = await planMigrations(pool, { directory: files.directory });
    expect(again).toMatchObject({ migrations: [], blocked: false, catalogFingerprint: null });
  });

  test("works on one pg.Client and on one connection of a pool", async () => {
    await using files = await makeWorkspace({
      "0001_users.sql": users,
      "0003_index.sql": concurrent.replaceAll("email", "name"),
    });
    const database = await cluster.createDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      const report = await applyMigrations(client, await planMigrations(client, { directory: files.directory }));
      expect(report.applied).toHaveLength(2);
      expect((await migrationStatus(client, { directory: files.directory })).pending).toBe(0);
    } finally {
      await client.end();
    }
    const second = await cluster.createDatabase();
    const pool = new Pool({ connectionString: second.url, max: 1 });
    try {
      const report = await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
      expect(report.applied).toHaveLength(2);
    } finally {
      await pool.end();
    }
  });

  test("rolls a failed migration back whole, says where it failed, and goes on once it is corrected", async () => {
    await using files = await makeWorkspace({
      "0001_users.sql": users,
      "0002_bad.sql": "create table half ();\n\nalter table nobody\n  add column x int;\n",
      "0003_late.sql": "create table late ();",
    });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    const error = await applyMigrations(pool, plan).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MigrationFailedError);
    const { message, report } = error as MigrationFailedError;
    expect(message).toBe('0002_bad.sql:3: ALTER TABLE failed: relation "nobody" does not exist [42P01]');
    expect(report.applied.map(({ id }) => id)).toEqual(["0001_users"]);
    expect(report.failed).toMatchObject({ id: "0002_bad", statement: 1, line: 3, outcome: "rolled-back" });
    expect(report.remaining).toEqual(["0003_late"]);
    expect((await pool.query("select to_regclass('half') as t")).rows).toEqual([{ t: null }]);
    const status = await migrationStatus(pool, { directory: files.directory });
    expect(status.migrations.map(({ state }) => state)).toEqual(["applied", "failed", "pending"]);
    expect(status.findings.map(({ id }) => id)).toEqual(["MIGRATE-FAILED"]);

    await files.write({ "0002_bad.sql": "create table half ();" });
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    expect((await migrationStatus(pool, { directory: files.directory })).pending).toBe(0);
  });

  test("refuses a verify query that answers false, and keeps nothing of the migration", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:verify\nselect count(*) = 1 from a;\n",
    });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    await expect(applyMigrations(pool, plan)).rejects.toThrow("0001_a.sql:4: SELECT failed: verify failed");
    expect((await pool.query("select to_regclass('a') as t")).rows).toEqual([{ t: null }]);
  });

  test("refuses a plan whose file, history or catalog moved", async () => {
    await using files = await makeWorkspace({ "0001_users.sql": users });
    await using pool = await freshPool();
    const edited = await planMigrations(pool, { directory: files.directory });
    await files.write({ "0001_users.sql": users.replace("'c'", "'d'") });
    await expect(applyMigrations(pool, edited)).rejects.toThrow("0001_users.sql was edited since the plan was made");

    const moved = await planMigrations(pool, { directory: files.directory });
    await pool.query("create table someone_elses ()");
    await expect(applyMigrations(pool, moved)).rejects.toThrow("the catalog is not the one the plan was made for");

    const early = await planMigrations(pool, { directory: files.directory });
    await files.write({ "0000_first.sql": "create table zeroth ();" });
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await expect(applyMigrations(pool, early)).rejects.toBeInstanceOf(StalePlanError);
  });

  test("applies once when five runners begin together, and tells the others what was done", async () => {
    await using files = await makeWorkspace({
      "0001_users.sql": users,
      "0002_email.sql": email,
      "0003_index.sql": concurrent,
    });
    const database = await cluster.createDatabase();
    const pools = Array.from({ length: 5 }, () => new Pool({ connectionString: database.url, max: 2 }));
    // Planned before any of them applies: each plan holds all three.
    const plans = await Promise.all(pools.map((pool) => planMigrations(pool, { directory: files.directory })));
    const runs = await Promise.all(
      pools.map(async (pool, index) => {
        try {
          return await applyMigrations(pool, plans[index]!);
        } finally {
          await pool.end();
        }
      }),
    );
    expect(runs.flatMap(({ applied }) => applied.map(({ id }) => id)).sort()).toEqual([
      "0001_users",
      "0002_email",
      "0003_index",
    ]);
    expect(runs.map(({ applied, skipped }) => applied.length + skipped.length)).toEqual([3, 3, 3, 3, 3]);
  });

  test("keeps in the history how long a migration took from its first statement to its last", async () => {
    await using files = await makeWorkspace({
      "0001_slow.sql": "select pg_sleep(0.06);\ncreate table a ();",
      "0002_alone.sql": "select pg_sleep(0.04);",
      "0003_steps.sql": "-- migrate:up transaction=false\nselect pg_sleep(0.03);\ncreate table b ();",
    });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    const { rows } = await pool.query<{ ms: number }>("select duration_ms as ms from db_migrate.history order by id");
    expect(rows.map(({ ms }, index) => ms >= [60, 40, 30][index]!)).toEqual([true, true, true]);
  });

  test("gives back the settings a migration changed", async () => {
    await using files = await makeWorkspace({
      "0001_dump.sql": "select pg_catalog.set_config('search_path', '', false);\ncreate table public.a ();",
      "0002_plain.sql": "set statement_timeout = '5s';\ncreate table b ();",
    });
    await using pool = await freshPool();
    const client = await pool.connect();
    client.release();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    const { rows } = await pool.query(
      "select current_setting('search_path') as path, current_setting('statement_timeout') as t, current_setting('lock_timeout') as l",
    );
    expect(rows).toEqual([{ path: '"$user", public', t: "0", l: "0" }]);
  });

  test("tries again after a lock time-out, holding nothing meanwhile", async () => {
    await using files = await makeWorkspace({ "0001_users.sql": users });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await files.write({ "0002_email.sql": email.replace("migrate:up", "migrate:up lock_timeout=50ms") });
    const plan = await planMigrations(pool, { directory: files.directory });
    const blocker = await pool.connect();
    await blocker.query("begin; lock table users in access share mode");
    let retries = 0;
    const report = await applyMigrations(pool, plan, {
      onEvent: (event) => {
        if (event.type !== "lock-retry") return;
        retries++;
        if (retries === 2) void blocker.query("commit");
      },
    });
    blocker.release();
    expect(retries).toBeGreaterThanOrEqual(2);
    expect(report.applied[0]?.attempts).toBe(retries + 1);
  });

  test("runs the safety hook under the lock, before anything is written", async () => {
    await using files = await makeWorkspace({ "0001_users.sql": users });
    await using pool = await freshPool();
    const plan = await planMigrations(pool, { directory: files.directory });
    const refused = applyMigrations(pool, plan, { beforeApply: () => Promise.reject(new Error("no backup")) });
    await expect(refused).rejects.toThrow("no backup");
    const status = await migrationStatus(pool, { directory: files.directory });
    expect(status).toMatchObject({ pending: 1, history: { exists: false }, runner: null });
  });

  test("rehearses in a rolled-back transaction and tells the locks really taken", async () => {
    await using files = await makeWorkspace({ "0001_users.sql": users });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await files.write({ "0002_email.sql": email, "0003_index.sql": concurrent });
    const plan = await planMigrations(pool, { directory: files.directory });
    const report = await applyMigrations(pool, plan, { execute: "rollback" });
    expect(report.applied[0]?.statements[0]?.locks).toEqual([{ relation: "public.users", mode: "AccessExclusive" }]);
    expect(report.applied[0]?.statements[0]?.locks).toEqual(plan.migrations[0]?.statements[0]?.effects.locks);
    expect(report.remaining).toEqual(["0003_index"]);
    expect((await migrationStatus(pool, { directory: files.directory })).pending).toBe(2);
  });
});

describe("planRollback", () => {
  test("undoes to a version, from the history when the files are gone", async () => {
    await using files = await makeWorkspace({
      "0001_users.sql": users,
      "0002_email.sql": email,
      "0003_index.sql": concurrent,
    });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await files.remove("0002_email.sql");
    await files.remove("0003_index.sql");
    const plan = await planRollback(pool, { directory: files.directory, to: "1" });
    expect(plan.migrations.map(({ id, transactional }) => [id, transactional])).toEqual([
      ["0003_index", false],
      ["0002_email", true],
    ]);
    expect(plan.findings.map(({ id, title }) => [id, title])).toEqual([
      ["MIGRATE-DATA-LOSS", "undoing 0003_index loses column seen of public.users, which holds rows"],
      ["MIGRATE-DATA-LOSS", "undoing 0002_email loses column email of public.users, which holds rows"],
    ]);
    await expect(applyMigrations(pool, plan)).rejects.toThrow("the plan is blocked");
    const allowed = await planRollback(pool, { directory: files.directory, to: "1", allowDataLoss: true });
    const report = await applyMigrations(pool, allowed);
    expect(report.applied.map(({ id }) => id)).toEqual(["0003_index", "0002_email"]);
    const { rows } = await pool.query("select column_name from information_schema.columns where table_name = 'users'");
    expect(rows.map(({ column_name: name }: { column_name: string }) => name)).toEqual(["id", "name"]);
    await files.write({ "0002_email.sql": email, "0003_index.sql": concurrent });
    const status = await migrationStatus(pool, { directory: files.directory });
    expect(status.migrations.map(({ state }) => state)).toEqual(["applied", "reverted", "reverted"]);
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    expect((await migrationStatus(pool, { directory: files.directory })).pending).toBe(0);
  });

  test("blocks where a down section is missing", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    const plan = await planRollback(pool, { directory: files.directory });
    expect(plan).toMatchObject({ blocked: true, findings: [{ id: "MIGRATE-NO-DOWN", migration: "0001_a" }] });
  });
});

describe("planBaseline", () => {
  test("declares what a database already has, and the rest is planned after it", async () => {
    await using files = await makeWorkspace({ "0001_users.sql": users, "0002_email.sql": email });
    await using pool = await freshPool();
    await pool.query("create table users (id bigint, name text)");
    const report = await applyMigrations(
      pool,
      await planBaseline(pool, { directory: files.directory, to: "0001_users" }),
    );
    expect(report.adopted).toEqual(["0001_users"]);
    const plan = await planMigrations(pool, { directory: files.directory });
    expect(plan.migrations.map(({ id }) => id)).toEqual(["0002_email"]);
    await applyMigrations(pool, plan);
    await expect(planBaseline(pool, { directory: files.directory, to: "1" })).rejects.toThrow(
      "the history is not empty",
    );
  });
});

describe("findings on the history", () => {
  test("tells changed, missing and out-of-order migrations apart", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a ();",
      "0003_c.sql": "create table c ();",
      "0004_d.sql": "create table d ();",
    });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await files.write({ "0001_a.sql": "create table a (id int);", "0002_b.sql": "create table b ();" });
    await files.remove("0004_d.sql");
    const plan = await planMigrations(pool, { directory: files.directory });
    expect(plan.findings.map(({ id, severity, migration, blocks }) => [id, severity, migration, blocks])).toEqual([
      ["MIGRATE-CHANGED", "critical", "0001_a", true],
      ["MIGRATE-OUT-OF-ORDER", "critical", "0002_b", true],
      ["MIGRATE-MISSING", "warn", "0004_d", false],
    ]);
    await expect(applyMigrations(pool, plan)).rejects.toMatchObject({ code: "MIGRATE_REFUSED" });
    const lenient = { directory: files.directory, changed: "warn", outOfOrder: "allow" } as const;
    await applyMigrations(pool, await planMigrations(pool, lenient));
    const status = await migrationStatus(pool, lenient);
    expect(status.migrations.map(({ id, state }) => [id, state])).toEqual([
      ["0001_a", "changed"],
      ["0002_b", "applied"],
      ["0003_c", "applied"],
      ["0004_d", "missing"],
    ]);
  });

  test("takes a renamed file for the migration it is", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create table a ();" });
    await using pool = await freshPool();
    await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
    await files.remove("0001_a.sql");
    await files.write({ "0001_better_name.sql": "create table a ();\n" });
    const plan = await planMigrations(pool, { directory: files.directory });
    expect(plan.migrations).toEqual([]);
    expect(plan.findings.map(({ id }) => id)).toEqual(["MIGRATE-RENAMED"]);
  });

  test("runs a repeatable again when its text changes, after the versioned ones", async () => {
    const view = (columns: string): string => `create or replace view v as select ${columns} from a;`;
    await using files = await makeWorkspace({
      "R__v.sql": view("id"),
      "0001_a.sql": "create table a (id int, b int);",
    });
    await using pool = await freshPool();
    const first = await planMigrations(pool, { directory: files.directory });
    expect(first.migrations.map(({ id }) => id)).toEqual(["0001_a", "R__v"]);
    await applyMigrations(pool, first);
    expect((await planMigrations(pool, { directory: files.directory })).migrations).toEqual([]);
    await files.write({ "R__v.sql": view("id, b") });
    const second = await planMigrations(pool, { directory: files.directory });
    expect(second.migrations.map(({ id }) => id)).toEqual(["R__v"]);
    await applyMigrations(pool, second);
    await expect(pool.query("select b from v")).resolves.toBeDefined();
  });
});
