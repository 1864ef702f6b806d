import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runValidation, suggestRules, type SuggestionReport } from "../src/index.ts";

let cluster: TestCluster;
let pool: Pool;
let analysed: SuggestionReport;

beforeAll(async () => {
  cluster = await startCluster();
  pool = cluster.createPool();
  await pool.query(`
    create table users (id int primary key, email text, county text, joined date);
    create table comments (
      id int primary key, user_id int, body text, score int, postcode text,
      created_at timestamptz not null, updated_at timestamptz, unique (id, user_id)
    );
    insert into users select i, 'u' || i || '@example.org', (array['Nairobi', 'Mombasa', 'Kisumu'])[i % 3 + 1],
                             date '2024-01-01' + i from generate_series(1, 300) i;
    update users set county = 'Niarobi' where id = 6;
    insert into comments select i, i % 300 + 1, 'text ' || md5(i::text), i % 7, (10000 + i)::text,
                                timestamptz '2024-01-01', timestamptz '2024-01-02' from generate_series(1, 1000) i;
    update comments set user_id = 9999 where id in (1, 2, 3);
    update comments set postcode = 'x' || postcode where id = 4`);
  await pool.query("analyze");
  analysed = await suggestRules(pool);
});

afterAll(async () => {
  await pool.end();
  await cluster.stop();
});

function told(report: SuggestionReport): readonly string[] {
  return report.suggestions.map(({ rule, violations, holds }) => {
    const columns = "columns" in rule ? rule.columns?.join() : "column" in rule ? rule.column : "";
    return `${rule.kind} ${rule.table} ${columns} ${holds ? "holds" : violations}`;
  });
}

test("suggests references, forms, lists, order and keys that nobody declared, with the rows that break them", () => {
  const all = told(analysed);
  for (const expected of [
    "foreign-key public.comments user_id 3",
    "pattern public.comments postcode 1",
    "accepted-values public.users county 1",
    "unique public.users email holds",
    "pattern public.users email holds",
    "not-null public.users joined holds",
    "expression public.comments created_at,updated_at holds",
    "range public.comments score holds",
  ]) {
    expect(all).toContain(expected);
  }
});

test("suggests nothing that a constraint already guarantees", () => {
  expect(told(analysed)).not.toContain("not-null public.comments created_at holds");
  expect(told(analysed)).not.toContain("unique public.users id holds");
});

test("every suggestion says the truth about the data", async () => {
  const rules = analysed.suggestions.map((suggestion, index) => ({ ...suggestion.rule, id: String(index) }));
  const { results } = await runValidation(pool, rules);
  expect(results.map((result) => result.violations)).toEqual(analysed.suggestions.map((s) => s.violations));
});

test("needs no statistics: a table never analysed is sampled", async () => {
  await pool.query("create table fresh (id int primary key, code text)");
  await pool.query("insert into fresh select i, 'A-' || (1000 + i) from generate_series(1, 200) i");
  const report = await suggestRules(pool, { tables: ["fresh"] });
  expect(told(report)).toEqual(
    expect.arrayContaining(["pattern public.fresh code holds", "unique public.fresh code holds"]),
  );
  await pool.query("drop table fresh");
});

test("an option narrows it to some tables, and another to rules without exception", async () => {
  const report = await suggestRules(pool, { tables: ["users"], maxViolationRatio: 0 });
  expect(report.tables).toBe(1);
  expect(report.suggestions.every((suggestion) => suggestion.holds)).toBe(true);
});

test("needs the right to read and no other", async () => {
  await pool.query("create role reader login password 'reader'; grant pg_read_all_data to reader");
  const url = new URL(cluster.primary.url);
  [url.username, url.password] = ["reader", "reader"];
  const reader = new Pool({ connectionString: url.href, options: "-c default_transaction_read_only=on" });
  expect(told(await suggestRules(reader))).toEqual(told(analysed));
  await reader.end();
});
