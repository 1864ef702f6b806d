import { type ExampleReport, runExample } from "@db/example-runner";
import { applyMigrations, planMigrations, planRollback } from "@db/migrate";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chanuka, faultRows, faults, seedChanuka } from "../src/index.ts";

const scale = 0.2;
let cluster: TestCluster;
let db: Pool;
let url: string;
let report: ExampleReport;
beforeAll(async () => {
  cluster = await startCluster();
  ({ url } = await cluster.createDatabase());
  db = cluster.createPool({ connectionString: url });
  report = await runExample(chanuka, { url, scale });
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
});

describe("chanuka.migrationsDirectory", () => {
  test("goes up with nothing worse than a remark, down again, and up again", async () => {
    const other = cluster.createPool({ connectionString: (await cluster.createDatabase()).url });
    const directory = chanuka.migrationsDirectory;
    const plan = await planMigrations(other, { directory });
    expect(plan.findings.filter((finding) => finding.severity !== "info")).toEqual([]);
    expect((await applyMigrations(other, plan)).failed).toBeNull();
    const down = await planRollback(other, { directory, steps: plan.migrations.length });
    expect((await applyMigrations(other, down)).failed).toBeNull();
    const { rows } = await other.query("select from pg_class where relnamespace = 'public'::regnamespace");
    expect(rows).toEqual([]);
    expect((await applyMigrations(other, await planMigrations(other, { directory }))).applied).toHaveLength(8);
    await other.end();
  });
});

describe("chanuka.seed", () => {
  test("fills every table", async () => {
    expect(report.seed).toMatchObject({
      skipped: false,
      rows: { bills: 4_000, users: 1_000, bill_engagement: 100_000 },
    });
    const { rows } = await db.query<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
    );
    expect(Object.keys(report.seed!.rows).toSorted()).toEqual(rows.map((row) => row.name).toSorted());
    expect(Object.values(report.seed!.rows).every((count) => count > 0)).toBe(true);
  });

  test("says so when it is asked again", async () => {
    expect(await seedChanuka({ url, scale })).toMatchObject({ skipped: true, rows: report.seed!.rows });
  });

  test("leaves room for the next bill", async () => {
    const { rows } = await db.query<{ id: string; status: string }>(
      "insert into bills (title, status) values ('The Test Bill, 2026', 'drafted') returning id, status",
    );
    expect(rows).toEqual([{ id: "4001", status: "drafted" }]);
    await db.query("delete from bills where id = 4001");
  });
});

describe("chanuka.validationRules", () => {
  test("find each deliberate fault, as often as it was put in, and nothing else", () => {
    const { results, counts } = report.validation;
    const failed = results.filter((result) => result.status === "failed");
    expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
      Object.fromEntries(faults.map(({ id }) => [id, faultRows(id, scale)])),
    );
    expect(counts).toMatchObject({ error: 0, failed: faults.length });
  });
});

describe("chanuka.indexPack", () => {
  test("is made whole, and each index serves a demonstration query or a foreign key", () => {
    const names = chanuka.indexPack.indexes.map((index) => index.name);
    expect(report.indexes).toEqual(names);
    const used = new Set(report.queries.flatMap((query) => query.indexes));
    expect(names.filter((name) => !used.has(name))).toEqual(["bill_comments_user_id_idx"]);
  });

  test("halves the cost of every demonstration query at least", () => {
    for (const { name, beforeCost, afterCost } of report.queries) {
      expect({ name, ratio: afterCost / beforeCost! }).toEqual({
        name,
        ratio: expect.toSatisfy((r: number) => r < 0.5),
      });
    }
  });

  test("running the example again finds everything done", async () => {
    const again = await runExample(chanuka, { url, scale });
    expect(again).toMatchObject({ migrations: [], indexes: [], seed: { skipped: true } });
    expect(again.queries.every((query) => query.beforeMs === null)).toBe(true);
  });
});
