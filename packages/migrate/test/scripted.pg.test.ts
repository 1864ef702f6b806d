import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, type MigrationFailedError, migrationStatus, planMigrations } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

async function freshPool(): Promise<Pool & AsyncDisposable> {
  const database = await cluster.createDatabase();
  const pool = new Pool({ connectionString: database.url, max: 2 });
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

function numbered(count: number, sql: (n: number) => string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`000${i + 1}_step.sql`, sql(i + 1)]));
}

describe("migrations on a session that takes scripts", () => {
  test("take one round trip each, BEGIN, history row and COMMIT included", async () => {
    await using files = await makeWorkspace(numbered(8, (n) => `create table t${n} (id int)`));
    await using pool = await freshPool();
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    const client = await pool.connect();
    let sent = 0;
    const query = (text: string, values?: readonly unknown[]): never => {
      if (/create table t\d/.test(text)) expect(text.match(/begin|commit$/g)).toEqual(["begin", "commit"]);
      sent++;
      return client.query(text, values as unknown[]) as never;
    };
    await applyMigrations({ host: "", port: 0, query }, plan);
    client.release();
    const withEight = sent;
    expect(withEight).toBeLessThan(8 + 30);
    const { rows } = await pool.query(
      "select count(*)::int as n, bool_and(duration_ms > 0) as timed, array_agg(sequence order by id) as places from db_migrate.history",
    );
    expect(rows).toEqual([{ n: 8, timed: true, places: [1, 2, 3, 4, 5, 6, 7, 8] }]);
    const journal = await pool.query(
      "select count(*)::int as n from db_migrate.history_statements where state = 'done'",
    );
    expect(journal.rows).toEqual([{ n: 8 }]);
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
