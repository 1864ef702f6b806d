import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, type MigrationFailedError, migrationStatus, planMigrations } from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = () => freshPoolOn(cluster, 2);

function numbered(count: number, sql: (n: number) => string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`000${i + 1}_step.sql`, sql(i + 1)]));
}

describe("migrations on a session that takes scripts", () => {
  test("share a round trip where they are small, each with its own BEGIN, history row and COMMIT", async () => {
    await using files = await makeWorkspace(numbered(8, (n) => `create table t${n} (id int)`));
    await using pool = await freshPool();
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    const client = await pool.connect();
    let sent = 0;
    const boundaries: string[] = [];
    const query = (text: string, values?: readonly unknown[]): never => {
      if (/create table t\d/.test(text)) boundaries.push(...(text.match(/^(begin|commit)$/gm) ?? []));
      sent++;
      return client.query(text, values as unknown[]) as never;
    };
    await applyMigrations({ host: "", port: 0, query }, plan);
    client.release();
    const withEight = sent;
    expect(withEight).toBeLessThan(32);
    expect(boundaries).toEqual(Array.from({ length: 8 }, () => ["begin", "commit"]).flat());
    const { rows } = await pool.query(
      "select count(*)::int as n, bool_and(duration_ms > 0) as timed, array_agg(sequence order by id) as places from db_migrate.history",
    );
    expect(rows).toEqual([{ n: 8, timed: true, places: [1, 2, 3, 4, 5, 6, 7, 8] }]);
    const journal = await pool.query(
      "select count(*)::int as n from db_migrate.history_statements where state = 'done'",
    );
    expect(journal.rows).toEqual([{ n: 8 }]);
  });

  test("keep those before one that failed in the same round trip, tell why it failed, and go on once it is corrected", async () => {
    await using files = await makeWorkspace({
      ...numbered(9, (n) => `create table t${n} (id int)`),
      "0005_step.sql": "alter table t4 add column id int",
    });
    await using pool = await freshPool();
    const { directory } = files;
    const error = (await applyMigrations(pool, await planMigrations(pool, { directory })).catch(
      (thrown: unknown) => thrown,
    )) as MigrationFailedError;
    expect(error.message).toContain('0005_step.sql:1: ALTER TABLE failed: column "id" of relation "t4" already exists');
    expect(error.report.applied.map(({ id }) => id)).toEqual(["0001_step", "0002_step", "0003_step", "0004_step"]);
    expect(error.report.remaining).toHaveLength(4);
    expect(error.report.failed?.outcome).toBe("rolled-back");
    const states = (await migrationStatus(pool, { directory })).migrations.map(({ state }) => state);
    expect(states).toEqual([...Array<string>(4).fill("applied"), "failed", ...Array<string>(4).fill("pending")]);
    const { rows } = await pool.query(
      "select current_setting('lock_timeout') as t, current_setting('synchronous_commit') as c",
    );
    expect(rows).toEqual([{ t: "0", c: "on" }]);
    await files.write({ "0005_step.sql": "alter table t4 add column more int" });
    await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect((await migrationStatus(pool, { directory })).pending).toBe(0);
  });

  test("name the statement that failed, and keep nothing of its migration", async () => {
    await using files = await makeWorkspace({
      ...numbered(6, (n) => `create table t${n} (id int) -- the end`),
      "0007_two.sql": "create table kept ();\nselect 1;\ninsert into nowhere values (1); -- no such table",
    });
    await using pool = await freshPool();
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    const error = (await applyMigrations(pool, plan).catch((thrown: unknown) => thrown)) as MigrationFailedError;
    expect(error.report.failed).toMatchObject({ id: "0007_two", statement: 2, line: 3, outcome: "rolled-back" });
    expect(error.report.applied).toHaveLength(6);
    expect((await pool.query("select to_regclass('kept') as t")).rows).toEqual([{ t: null }]);
    expect((await migrationStatus(pool, { directory })).migrations[6]?.state).toBe("failed");
  });

  test("a constraint that fails only at COMMIT is the migration's failure", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql": "create table t (id int primary key, up int references t deferrable initially deferred);",
      "0002_fill.sql": "insert into t values (1, 2);",
    });
    await using pool = await freshPool();
    const { directory } = files;
    const error = (await applyMigrations(pool, await planMigrations(pool, { directory })).catch(
      (thrown: unknown) => thrown,
    )) as MigrationFailedError;
    expect(error.report.failed).toMatchObject({ id: "0002_fill", sqlState: "23503", outcome: "rolled-back" });
  });

  test("survive a migration that forgets every prepared statement", async () => {
    await using files = await makeWorkspace({
      ...numbered(6, (n) => `create table t${n} (id int)`),
      "0003_step.sql": "create table t3 (id int); deallocate all;",
    });
    await using pool = await freshPool();
    const { directory } = files;
    const report = await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect(report.applied).toHaveLength(6);
    expect((await pool.query("select count(*)::int as n from pg_prepared_statements")).rows).toEqual([{ n: 0 }]);
  });
});
