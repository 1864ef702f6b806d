import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, type MigrationFilesError, migrationStatus, planMigrations } from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = () => freshPoolOn(cluster, 2);

/** Prints how long a part took, for the reader of the log: nothing is asserted of it. */
async function timed<T>(what: string, use: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const value = await use();
  const mb = Math.round(process.memoryUsage().rss / 1e6);
  console.log(`${what}: ${Math.round(performance.now() - began)} ms, ${mb} MB resident`);
  return value;
}

describe("a file of 50 MB", () => {
  const row = "(1, 'some text of a row that is there, ünd more; of it', 2.5)";
  const perStatement = 500;
  const statement = `insert into t values ${Array.from({ length: perStatement }, () => row).join(",\n")};\n`;
  const count = Math.floor(50_000_000 / statement.length);

  test("of inserts is planned, applied in one transaction and journalled", async () => {
    await using files = await makeWorkspace({
      "0001_big.sql": `create table t (a int, b text, c numeric);\n${statement.repeat(count)}`,
    });
    await using pool = await freshPool();
    const plan = await timed("plan", () => planMigrations(pool, files));
    await timed("apply", () => applyMigrations(pool, plan));
    const counted = await pool.query("select count(*)::int as n from t");
    expect(counted.rows).toEqual([{ n: count * perStatement }]);
    const journal = await pool.query(
      "select count(*)::int as n from db_migrate.history_statements where state = 'done'",
    );
    expect(journal.rows).toEqual([{ n: count + 1 }]);
    expect((await timed("status", () => migrationStatus(pool, files))).pending).toBe(0);
  });

  test("with a mistake in its last line is told by line and column", async () => {
    await using files = await makeWorkspace({
      "0001_big.sql": `create table t (a int, b text, c numeric);\n${statement.repeat(count)}selct 1;\n`,
    });
    await using pool = await freshPool();
    const error = (await timed("refusal", () => planMigrations(pool, files)).catch(
      (thrown: unknown) => thrown,
    )) as MigrationFilesError;
    expect(error.problems).toMatchObject([
      {
        code: "MIGRATE-SYNTAX",
        line: count * perStatement + 2,
        column: 1,
        excerpt: expect.stringContaining("selct 1;"),
      },
    ]);
  });

  test("that is one statement runs as well", async () => {
    const rows = Math.floor(50_000_000 / row.length);
    await using files = await makeWorkspace({
      "0001_one.sql": `create table t (a int, b text, c numeric);\ninsert into t values ${Array.from({ length: rows }, () => row).join(",")};`,
    });
    await using pool = await freshPool();
    const plan = await timed("plan of one statement", () => planMigrations(pool, files));
    await timed("apply of one statement", () => applyMigrations(pool, plan));
    const counted = await pool.query("select count(*)::int as n from t");
    expect(counted.rows).toEqual([{ n: rows }]);
  });
});

describe.each([1_000, 10_000])("%i migrations", (count) => {
  test("are applied, told of and found done", async () => {
    const sql = (n: number): string =>
      n % 10 === 0 ? `create table t${n} (id int)` : `alter table t${n - (n % 10)} add c${n} int`;
    const names = Array.from({ length: count }, (_, index) => {
      const n = index + 10;
      return [`${String(n).padStart(6, "0")}_step.sql`, `-- migrate:up\n${sql(n)};\n-- migrate:down\nselect 1;\n`];
    });
    await using files = await makeWorkspace(Object.fromEntries(names));
    await using pool = await freshPool();
    const plan = await timed(`${count} plan`, () => planMigrations(pool, files));
    await timed(`${count} apply`, () => applyMigrations(pool, plan));
    expect((await timed(`${count} status`, () => migrationStatus(pool, files))).applied).toBe(count);
    expect((await timed(`${count} nothing pending`, () => planMigrations(pool, files))).migrations).toEqual([]);
  });
});
