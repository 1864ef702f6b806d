import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { runValidation, suggestRules, type ValidationRule } from "../src/index.ts";
import { loadFaultyData } from "./civic-data.ts";

const references = { table: "sponsors", columns: ["id"] };
const rules: readonly ValidationRule[] = [
  { kind: "not-null", table: "bills", column: "title" },
  { kind: "not-null", table: "sponsors", column: "name" },
  { kind: "unique", table: "bills", columns: ["title"] },
  { kind: "foreign-key", table: "bills", columns: ["sponsor_id"], references },
  { kind: "range", table: "bills", column: "amount", min: 0 },
  { kind: "length", table: "bills", column: "title", max: 9 },
  { kind: "pattern", table: "sponsors", column: "email", pattern: "@" },
  { kind: "accepted-values", table: "bills", column: "status", values: ["draft", "passed"] },
  { kind: "expression", table: "bills", expression: "updated >= introduced" },
  { kind: "functional-dependency", table: "bills", determinant: ["postcode"], column: "town" },
  { kind: "row-count", table: "bills", min: 1 },
  { kind: "custom-sql", table: "bills", sql: "select 1 from bills where id = 7" },
];

describe.each([12, 13, 14, 15, 16, 17, 18])("on PostgreSQL %i", (version) => {
  test("rules count the same rows, and suggestions say the truth", async () => {
    await using cluster = await startCluster({ version });
    const pool = cluster.createPool();
    await loadFaultyData(pool);
    const report = await runValidation(pool, rules, { samples: { limit: 3 } });
    expect(report.results.map((result) => result.violations)).toEqual([5, 0, 2, 7, 1, 0, 3, 1, 1, 1, null, 1]);
    expect(report.counts).toEqual({ proved: 1, passed: 2, failed: 9, error: 0 });
    expect(report.findings.map((finding) => finding.id)).toContain("SCHEMA-CONSTRAINT-NOT-VALIDATED");
    const { suggestions } = await suggestRules(pool, { dependencies: true });
    const told = suggestions.map((suggestion, index) => ({ ...suggestion.rule, id: String(index) }));
    const again = await runValidation(pool, told);
    expect(again.results.map((result) => result.violations)).toEqual(suggestions.map((item) => item.violations));
    await pool.end();
  });
});

test("on PostgreSQL 18 a NOT NULL that was never validated proves nothing", async () => {
  await using cluster = await startCluster({ version: 18 });
  const pool = cluster.createPool();
  await pool.query("create table t (id int primary key, a int); insert into t values (1, null)");
  await pool.query("alter table t add constraint a_present not null a not valid");
  const { results } = await runValidation(pool, [{ kind: "not-null", table: "t", column: "a" }]);
  expect(results[0]).toMatchObject({ status: "failed", violations: 1 });
  await pool.query("update t set a = 1; alter table t validate constraint a_present");
  const again = await runValidation(pool, [{ kind: "not-null", table: "t", column: "a" }]);
  expect(again.results[0]!.status).toBe("proved");
  await pool.end();
});
