import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { runValidation } from "@db/validate";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chanuka, faultRows, faults, seedChanuka } from "../src/index.ts";

const scale = 0.1;
let cluster: TestCluster;
let db: Pool;
let url: string;
beforeAll(async () => {
  cluster = await startCluster();
  const database = await cluster.createDatabase();
  url = database.url;
  db = cluster.createPool({ connectionString: url });
  for (const file of (await readdir(chanuka.migrationsDirectory)).toSorted()) {
    const text = await readFile(path.join(chanuka.migrationsDirectory, file), "utf8");
    await db.query(text.split(/^-- migrate:.*$/m)[1]!);
  }
  await seedChanuka({ url, scale });
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
});

describe("seedChanuka", () => {
  test("fills every table, and says so when asked again", async () => {
    const report = await seedChanuka({ url, scale });
    expect(report).toMatchObject({ skipped: true, rows: { bills: 2_000, users: 500, bill_engagement: 50_000 } });
    const { rows } = await db.query<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
    );
    expect(Object.keys(report.rows).toSorted()).toEqual(rows.map((row) => row.name).toSorted());
    expect(Object.values(report.rows).every((count) => count > 0)).toBe(true);
  });

  test("leaves room for the next bill", async () => {
    const { rows } = await db.query<{ id: string; status: string }>(
      "insert into bills (title, status) values ('The Test Bill, 2026', 'drafted') returning id, status",
    );
    expect(rows).toEqual([{ id: "2001", status: "drafted" }]);
    await db.query("delete from bills where id = 2001");
  });
});

describe("chanuka.validationRules", () => {
  test("find each deliberate fault, as often as it was put in, and nothing else", async () => {
    const report = await runValidation(db, chanuka.validationRules);
    const found = Object.fromEntries(
      report.results.filter((result) => result.status === "failed").map((result) => [result.id, result.violations]),
    );
    expect(found).toEqual(Object.fromEntries(faults.map(({ id }) => [id, faultRows(id, scale)])));
    expect(report.counts).toMatchObject({ error: 0, failed: faults.length });
  });
});

describe("chanuka.demonstrationQueries", () => {
  test("touch less than half of the pages once the pack's indexes are there", async () => {
    const before = await Promise.all(chanuka.demonstrationQueries.map(pagesOf));
    for (const index of chanuka.indexPack.indexes) {
      const keys = index.keys.map((key) => `${key.column ?? `(${key.expression})`} ${key.opclass ?? ""}`).join(", ");
      const include = index.include ? `include (${index.include.join(", ")})` : "";
      const settings = Object.entries(index.with ?? {}).map(([name, value]) => `${name} = ${value}`);
      await db.query(
        `create index ${index.name} on ${index.table} using ${index.method ?? "btree"} (${keys}) ${include}
          ${settings.length > 0 ? `with (${settings.join(", ")})` : ""} ${index.where ? `where ${index.where}` : ""}`,
      );
    }
    await db.query("vacuum analyze");
    const after = await Promise.all(chanuka.demonstrationQueries.map(pagesOf));
    for (const [i, query] of chanuka.demonstrationQueries.entries()) {
      expect([query.name, after[i]!.pages / before[i]!.pages]).toEqual([
        query.name,
        expect.toSatisfy((r: number) => r < 0.5),
      ]);
      expect([query.name, after[i]!.rows]).toEqual([query.name, before[i]!.rows]);
      expect(after[i]!.rows).toBeGreaterThan(0);
    }
  });

  async function pagesOf(
    query: (typeof chanuka.demonstrationQueries)[number],
  ): Promise<{ pages: number; rows: number }> {
    const { rows } = await db.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
      `explain (analyze, buffers, timing off, format json) ${query.sql}`,
      [...query.values],
    );
    const plan = rows[0]!["QUERY PLAN"][0].Plan;
    return { pages: plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!, rows: plan["Actual Rows"]! };
  }
});
