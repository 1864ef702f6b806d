import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  type ApplyOptions,
  createColumnChange,
  migrationStatus,
  type OnlinePhase,
  pauseBackfill,
  planCancel,
  planMigrations,
  planRollback,
  switchVersion,
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

const freshPool = () => freshPoolOn(cluster);

const rows = 30_000;
const fill = `create table users (id bigint primary key, name text not null, age text not null);
insert into users select i, 'Name ' || i, (i % 90)::text from generate_series(1, ${rows}) i;
analyze users;`;

const lower = `-- migrate:expand
alter table users add column name_lower text;
-- migrate:backfill table=users key=id batch=500
update users set name_lower = lower(name) where :batch and name_lower is null;
-- migrate:contract
alter table users add constraint users_name_lower_set check (name_lower is not null) not valid;
alter table users validate constraint users_name_lower_set;
alter table users alter column name_lower set not null;
alter table users drop constraint users_name_lower_set;
-- migrate:cancel
alter table users drop column if exists name_lower;
-- migrate:down
alter table users drop column name_lower;
`;

async function runPhase(db: Pool, directory: string, phase: OnlinePhase, options: ApplyOptions = {}) {
  return applyMigrations(db, await planMigrations(db, { directory, phase }), options);
}

describe("an online migration", () => {
  test("runs phase by phase, tells where it stands, and plain up neither starts nor ends it on a table in use", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace({ "0001_lower.sql": lower });
    const { directory } = files;
    const whole = await planMigrations(pool, { directory });
    expect(whole.findings.map(({ id, blocks }) => [id, blocks])).toContainEqual(["MIGRATE-ONLINE", true]);
    const early = await planMigrations(pool, { directory, phase: "contract" });
    expect(early).toMatchObject({ blocked: true, findings: [{ id: "MIGRATE-PHASE-ORDER" }] });

    const expanded = await runPhase(pool, directory, "expand");
    expect(expanded.applied[0]).toMatchObject({ phase: "expand", statements: [{ index: 0 }] });
    const status = await migrationStatus(pool, { directory });
    expect(status.migrations[0]).toMatchObject({ state: "online", statementsDone: 1, statements: 6 });
    const between = await planMigrations(pool, { directory });
    expect(between.migrations).toEqual([]);
    expect(between.findings).toMatchObject([{ id: "MIGRATE-ONLINE-OPEN" }]);

    const batches: number[] = [];
    const filled = await runPhase(pool, directory, "backfill", {
      onEvent: (event) => event.type === "backfill-batch" && batches.push(event.rows),
    });
    expect(filled.applied[0]?.statements[0]).toMatchObject({ kind: "UPDATE", rows });
    expect(batches.length).toBeGreaterThan(3);
    const { rows: left } = await pool.query("select count(*)::int as n from users where name_lower is null");
    expect(left).toEqual([{ n: 0 }]);

    await runPhase(pool, directory, "contract");
    const { rows: column } = await pool.query(
      "select attnotnull from pg_attribute where attrelid = 'users'::regclass and attname = 'name_lower'",
    );
    expect(column).toEqual([{ attnotnull: true }]);
    expect((await migrationStatus(pool, { directory })).pending).toBe(0);
    await applyMigrations(pool, await planRollback(pool, { directory, allowDataLoss: true }));
    expect((await migrationStatus(pool, { directory })).migrations[0]?.state).toBe("reverted");
  });

  test("is applied as a whole by up where its table is small, as on a new database", async () => {
    await using pool = await freshPool();
    await using files = await makeWorkspace({
      "0001_users.sql": fill.replace(String(rows), "30"),
      "0002_lower.sql": lower,
      "0003_after.sql": "create table after_it ();",
    });
    const { directory } = files;
    await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect((await migrationStatus(pool, { directory })).pending).toBe(0);
    const { rows: found } = await pool.query("select count(name_lower)::int as n from users");
    expect(found).toEqual([{ n: 30 }]);
  });

  test("pauses, stops on abort, and goes on after the last batch each time", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace({ "0001_lower.sql": lower });
    const { directory } = files;
    await runPhase(pool, directory, "expand");
    let pausing: Promise<number> | undefined;
    const paused = await runPhase(pool, directory, "backfill", {
      onEvent: (event) => {
        if (event.type === "backfill-batch") pausing ??= pauseBackfill(pool);
      },
    }).catch((error: unknown) => error);
    expect(paused).toMatchObject({ code: "MIGRATE_BACKFILL_PAUSED" });
    expect(await pausing).toBe(1);
    const counted = async (): Promise<number> =>
      (await pool.query<{ n: number }>("select count(name_lower)::int as n from users")).rows[0]?.n ?? -1;
    const first = await counted();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(rows);
    const kept = await pool.query<{ rows: string }>("select rows from db_migrate.history_backfills");
    expect(Number(kept.rows[0]?.rows)).toBe(first);

    const controller = new AbortController();
    const aborted = await runPhase(pool, directory, "backfill", {
      signal: controller.signal,
      onEvent: (event) => event.type === "backfill-batch" && controller.abort(),
    }).catch((error: unknown) => error);
    expect(aborted).toMatchObject({ code: "CORE_ABORTED" });
    expect(await counted()).toBeGreaterThan(first);
    const last = await runPhase(pool, directory, "backfill");
    expect(last.applied[0]?.statements[0]?.rows).toBe(rows);
    expect(await counted()).toBe(rows);
  });

  test("is taken back by its cancel section after each phase, from the history when its file is gone", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace({ "0001_lower.sql": lower });
    const { directory } = files;
    const columns = async (): Promise<number> =>
      (await pool.query("select from information_schema.columns where table_name = 'users'")).rowCount ?? 0;
    await runPhase(pool, directory, "expand");
    await applyMigrations(pool, await planCancel(pool, { directory }));
    expect(await columns()).toBe(3);
    await runPhase(pool, directory, "expand");
    await runPhase(pool, directory, "backfill");
    await files.remove("0001_lower.sql");
    const report = await applyMigrations(pool, await planCancel(pool, { directory }));
    expect(report.applied.map(({ id }) => id)).toEqual(["0001_lower"]);
    expect(await columns()).toBe(3);
    expect((await pool.query("select from db_migrate.history_backfills")).rowCount).toBe(0);
    await files.write({ "0001_lower.sql": lower });
    await runPhase(pool, directory, "expand");
    expect((await runPhase(pool, directory, "backfill")).applied[0]?.statements[0]?.rows).toBe(rows);
  });

  test("refuses a backfill without :batch, without a key, or along columns that are no unique key", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace({ "0001_a.sql": lower.replace(":batch and ", "") });
    const plan = (): Promise<unknown> => planMigrations(pool, { directory: files.directory, phase: "expand" });
    await expect(plan()).rejects.toMatchObject({ problems: [{ code: "MIGRATE-STATEMENT", line: 4 }] });
    await files.write({ "0001_a.sql": lower.replace(" key=id", "") });
    await expect(plan()).rejects.toMatchObject({ problems: [{ code: "MIGRATE-DIRECTIVE", line: 3 }] });
    await files.write({ "0001_a.sql": lower.replace("key=id", "key=name") });
    await runPhase(pool, files.directory, "expand");
    await expect(runPhase(pool, files.directory, "backfill")).rejects.toMatchObject({
      code: "MIGRATE_BACKFILL",
      message: "(name) is no unique key of users",
    });
  });
});

describe("createColumnChange", () => {
  test("lets old and new application versions read and write side by side until it is contracted", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace();
    const { directory } = files;
    const made = await createColumnChange(
      pool,
      { kind: "change", table: "users", column: "age", rename: "years", type: "integer", down: "new_value::text" },
      { directory, name: "age as number" },
    );
    expect(made).toMatchObject({ written: true, notCarriedOver: [] });
    await runPhase(pool, directory, "expand");
    const oldVersion = await pool.connect();
    const newVersion = new Client({ connectionString: pool.url });
    await switchVersion(pool, { viewSchema: made.viewSchema, baseSchema: "public" });
    await newVersion.connect();
    try {
      await oldVersion.query("insert into users values (-1, 'old', '41')");
      await newVersion.query("insert into users (id, name, years) values (-2, 'new', 42)");
      const seen = "select id::int, %s as age from users where id < 0 order by id";
      expect((await newVersion.query(seen.replace("%s", "years"))).rows).toEqual([
        { id: -2, age: 42 },
        { id: -1, age: 41 },
      ]);
      expect((await oldVersion.query(seen.replace("%s", "age"))).rows).toEqual([
        { id: -2, age: "42" },
        { id: -1, age: "41" },
      ]);
      await runPhase(pool, directory, "backfill");
      await newVersion.query("update users set years = years + 1 where id in (1, -1)");
      await oldVersion.query("update users set age = '7' where id = 2");
      const both = await oldVersion.query("select age from users where id in (-1, 1, 2) order by id");
      expect(both.rows).toEqual([{ age: "42" }, { age: "2" }, { age: "7" }]);
      const wrong = await newVersion.query(`select count(*)::int as n from public.users u
        join ${made.viewSchema}.users v using (id) where u.age::int is distinct from v.years`);
      expect(wrong.rows).toEqual([{ n: 0 }]);
      await runPhase(pool, directory, "contract");
      expect((await newVersion.query("select years from users where id = 2")).rows).toEqual([{ years: 7 }]);
      await newVersion.query("insert into users (id, name, years) values (-3, 'later', 43)");
      const columns = await pool.query(
        "select column_name, is_nullable from information_schema.columns where table_name = 'users' and table_schema = 'public' and column_name in ('age', 'years')",
      );
      expect(columns.rows).toEqual([{ column_name: "years", is_nullable: "NO" }]);
      const back = await switchVersion(pool, { viewSchema: null, baseSchema: "public" });
      expect(back.previous).toBe(`${made.viewSchema}, public`);
    } finally {
      oldVersion.release();
      await newVersion.end();
    }
    await applyMigrations(pool, await planRollback(pool, { directory, allowDataLoss: true }));
    expect((await pool.query("select age from users where id in (2, -3) order by id")).rows).toEqual([
      { age: "43" },
      { age: "7" },
    ]);
  });

  test("leaves nothing behind when it is cancelled, and adds a column that writers fill meanwhile", async () => {
    await using pool = await freshPool();
    await pool.query(fill);
    await using files = await makeWorkspace();
    const { directory } = files;
    const before = (await planMigrations(pool, { directory })).catalogFingerprint;
    expect(before).toBeNull();
    const catalog = async (): Promise<unknown> =>
      (
        await pool.query(`select (select array_agg(attname::text order by attnum) from pg_attribute
          where attrelid = 'users'::regclass and attnum > 0 and not attisdropped) as columns,
          (select count(*)::int from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal) as triggers,
          (select count(*)::int from pg_proc where pronamespace = 'public'::regnamespace) as functions,
          (select count(*)::int from pg_namespace where nspname like 'public_v%') as schemas`)
      ).rows[0];
    const untouched = await catalog();
    await createColumnChange(
      pool,
      { kind: "change", table: "users", column: "age", type: "integer", down: "new_value::text" },
      { directory, name: "age" },
    );
    await runPhase(pool, directory, "expand");
    await runPhase(pool, directory, "backfill");
    expect(await catalog()).not.toEqual(untouched);
    await applyMigrations(pool, await planCancel(pool, { directory }));
    expect(await catalog()).toEqual(untouched);

    await using added = await makeWorkspace();
    await createColumnChange(
      pool,
      { kind: "add", table: "users", column: "upper", type: "text", up: "upper(name)", notNull: true },
      { directory: added.directory, name: "upper" },
    );
    await runPhase(pool, added.directory, "expand");
    await pool.query("insert into users (id, name, age) values (-1, 'old app', '1')");
    await runPhase(pool, added.directory, "backfill");
    await runPhase(pool, added.directory, "contract");
    expect((await pool.query("select upper from users where id in (-1, 1) order by id")).rows).toEqual([
      { upper: "OLD APP" },
      { upper: "NAME 1" },
    ]);
  });

  test("tells everything that speaks against a change at once", async () => {
    await using pool = await freshPool();
    await pool.query("create table bare (a int)");
    await using files = await makeWorkspace();
    const change = createColumnChange(
      pool,
      { kind: "change", table: "bare", column: "b", up: "1" },
      { directory: files.directory, name: "x" },
    );
    await expect(change).rejects.toThrow(/no primary key.*no column b.*\(down\) is missing/);
  });
});
