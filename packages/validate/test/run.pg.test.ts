import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { explainValidation, InvalidRulesError, runValidation, type ValidationRule } from "../src/index.ts";
import { loadFaultyData } from "./civic-data.ts";

let cluster: TestCluster<1>;
let pool: Pool;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  pool = cluster.createPool();
  await loadFaultyData(pool);
});

afterAll(async () => {
  await pool.end();
  await cluster.stop();
});

const references = { table: "sponsors", columns: ["id"] };

async function only(rule: ValidationRule): ReturnType<typeof single> {
  return single(rule);
}

async function single(
  rule: ValidationRule,
): Promise<Awaited<ReturnType<typeof runValidation>>["results"][number] & { keys: readonly (readonly string[])[] }> {
  const report = await runValidation(pool, [rule], { samples: { limit: 1_000 }, asOf: "2025-01-02T00:00:00Z" });
  const result = report.results[0]!;
  return { ...result, keys: (result.sample?.keys ?? []).toSorted((a, b) => Number(a[0]) - Number(b[0])) };
}

describe("each kind of rule counts exactly the rows that break it, and names their keys", () => {
  test.each<[ValidationRule, number, number, readonly string[]]>([
    [{ kind: "not-null", table: "bills", column: "title" }, 5, 1000, ["1", "2", "3", "4", "5"]],
    [{ kind: "not-null", table: "bills", column: "title", where: "id > 3 -- the later ones" }, 2, 997, ["4", "5"]],
    [{ kind: "not-null", table: "Odd Names", column: 'a"b' }, 1, 10, ["3"]],
    [{ kind: "unique", table: "bills", columns: ["title"] }, 2, 995, ["10", "11", "1000"]],
    [{ kind: "unique", table: "bills", columns: ["title"], where: "id < 500" }, 1, 494, ["10", "11"]],
    [{ kind: "foreign-key", table: "bills", columns: ["sponsor_id"], references }, 7, 1000, ["1", "2", "3", "4", "5"]],
    [
      { kind: "foreign-key", table: "bills", columns: ["sponsor_id"], references, where: "bills.id > 5" },
      2,
      995,
      ["6", "7"],
    ],
    [{ kind: "range", table: "bills", column: "amount", min: 0 }, 1, 1000, ["1"]],
    [{ kind: "range", table: "bills", column: "introduced", max: "2024-01-01 16:38:00+00" }, 2, 1000, ["999", "1000"]],
    [{ kind: "length", table: "bills", column: "title", max: 8 }, 3, 1000, ["10", "11", "1000"]],
    [{ kind: "pattern", table: "sponsors", column: "email", pattern: "^[^@]+@[^@]+$" }, 3, 100, ["1", "2", "3"]],
    [{ kind: "pattern", table: "sponsors", column: "name", pattern: "^SPONSOR", ignoreCase: true }, 0, 100, []],
    [{ kind: "accepted-values", table: "bills", column: "status", values: ["draft", "passed"] }, 1, 1000, ["2"]],
    [
      { kind: "accepted-values", table: "bills", column: "amount", values: [-1, 2] },
      998,
      1000,
      ["3", "4", "5", "6", "7"],
    ],
    [
      { kind: "accepted-values", table: "bills", column: "status", values: [`it's "a\\`, "draft", "passed"] },
      1,
      1000,
      ["2"],
    ],
    [
      { kind: "accepted-values", table: "bills", column: "stage", values: ["passed", "lost"] },
      1000,
      1000,
      ["1", "2", "3", "4", "5"],
    ],
    [{ kind: "expression", table: "bills", expression: "updated >= introduced" }, 1, 1000, ["4"]],
    [{ kind: "functional-dependency", table: "bills", determinant: ["postcode"], column: "town" }, 1, 1000, ["30"]],
    [{ kind: "custom-sql", table: "bills", sql: "select id from bills where id = 77;", keys: ["id"] }, 1, 1000, ["77"]],
    [{ kind: "not-null", table: "passed_bills", column: "title" }, 3, 500, []],
  ])("%j", async (rule, violations, checked, keys) => {
    const result = await only(rule);
    expect(result).toMatchObject({ violations, checked, status: violations === 0 ? "passed" : "failed" });
    expect(result.keys.slice(0, 5).map((key) => key[0])).toEqual(keys);
  });

  test("a table without a key shows where its rows lie", async () => {
    await pool.query("insert into keyless values (1, null)");
    const result = await only({ kind: "not-null", table: "keyless", column: "b" });
    expect(result.sample).toEqual({ columns: ["ctid"], keys: [["(0,1)"]] });
  });

  test("freshness and row counts say what they saw", async () => {
    const fresh = { kind: "freshness", table: "bills", column: "updated", maxAgeMs: 86_400_000 } as const;
    expect(await only(fresh)).toMatchObject({ status: "passed", observed: 86_400_000 });
    expect(await only({ ...fresh, maxAgeMs: 86_399_999 })).toMatchObject({ status: "failed", value: 0 });
    expect(await only({ ...fresh, where: "false" })).toMatchObject({ status: "failed", message: "the table is empty" });
    expect(await only({ kind: "row-count", table: "bills", max: 999 })).toMatchObject({
      status: "failed",
      observed: 1000,
    });
    expect(await only({ kind: "row-count", table: "bills", min: 1 })).toMatchObject({ status: "passed" });
  });

  test("a share of failures within mostly passes, one beyond fails", async () => {
    const rule = { kind: "pattern", table: "sponsors", column: "email", pattern: "@" } as const;
    expect((await only({ ...rule, mostly: 0.97 })).status).toBe("passed");
    expect((await only({ ...rule, mostly: 0.98 })).status).toBe("failed");
  });
});

describe("a run", () => {
  const rules: readonly ValidationRule[] = [
    { kind: "not-null", table: "bills", column: "title", severity: "critical", hint: "Ask the clerk." },
    { kind: "range", table: "bills", column: "amount", min: 0 },
    { kind: "accepted-values", table: "bills", column: "status", values: ["draft", "passed"] },
    { kind: "expression", table: "bills", expression: "updated >= introduced" },
    { kind: "foreign-key", table: "bills", columns: ["sponsor_id"], references },
    { kind: "range", table: "bills", column: "introduced", min: "2000-01-01" },
    { kind: "not-null", table: "sponsors", column: "name" },
    { kind: "unique", table: "sponsors", columns: ["id", "email"] },
    { kind: "accepted-values", table: "bills", column: "stage", values: ["draft", "passed", "lost"] },
  ];

  test("reads a table once for all rules about single rows, and nothing for what a constraint proves", async () => {
    const plan = await explainValidation(pool, rules);
    expect(plan.steps.map((step) => [step.kind, step.table])).toEqual([
      ["scan", "public.bills"],
      ["orphans", "public.bills"],
    ]);
    expect(plan.rules.filter((rule) => rule.provedBy !== undefined).map((rule) => rule.provedBy)).toEqual([
      "NOT NULL on name",
      "sponsors_pkey",
      "enum stage",
    ]);
    const without = await explainValidation(pool, rules, { proofs: false });
    expect(without.rules.every((rule) => rule.provedBy === undefined)).toBe(true);
  });

  test("gives scores, findings and recommendations as plain data", async () => {
    const report = await runValidation(pool, rules);
    expect(report.counts).toEqual({ proved: 3, passed: 1, failed: 5, error: 0 });
    expect(report.score).toBe(59);
    expect(report.tables).toEqual([
      { table: "public.bills", score: 59, rules: 7, failed: 5 },
      { table: "public.sponsors", score: 100, rules: 2, failed: 0 },
    ]);
    const critical = report.findings[0]!;
    expect(critical).toMatchObject({ id: "DATA-NOT-NULL", severity: "critical", observed: 5, hint: "Ask the clerk." });
    expect((await pool.query(critical.command!)).rows).toHaveLength(5);
    expect(report.recommendations.map((item) => item.title)).toEqual(["declare the bounds of introduced"]);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test("finds gaps in the schema", async () => {
    const { findings } = await runValidation(pool, []);
    expect(findings.map((finding) => [finding.id, finding.subject])).toEqual([
      ["SCHEMA-CONSTRAINT-NOT-VALIDATED", "public.bills.amount_positive"],
      ["SCHEMA-NO-PRIMARY-KEY", "public.keyless"],
    ]);
    expect((await runValidation(pool, [], { schemaChecks: false })).findings).toEqual([]);
  });

  test("the statements it recommends make the rule a constraint", async () => {
    const { url } = await cluster.createDatabase();
    const own = new Pool({ connectionString: url });
    await own.query(`
      create table a (id int primary key, n int, t text, code text, b int);
      insert into a select i, i, 'x', 'c' || i, i from generate_series(1, 50) i`);
    const provable: ValidationRule[] = [
      { kind: "not-null", table: "a", column: "n" },
      { kind: "unique", table: "a", columns: ["code"] },
      { kind: "foreign-key", table: "a", columns: ["b"], references: { table: "a", columns: ["id"] } },
      { kind: "range", table: "a", column: "n", min: 1, max: 50 },
      { kind: "length", table: "a", column: "t", min: 1 },
      { kind: "pattern", table: "a", column: "code", pattern: "^c[0-9]+$" },
      { kind: "accepted-values", table: "a", column: "t", values: ["x", "y'z"] },
    ];
    const { recommendations } = await runValidation(own, provable);
    expect(recommendations).toHaveLength(7);
    for (const statement of recommendations.flatMap((item) => item.statements)) await own.query(statement);
    const again = await runValidation(own, provable.slice(0, 3));
    expect(again.counts).toMatchObject({ proved: 3 });
    await expect(own.query("insert into a values (51, 51, 'x', 'c51', 1)")).rejects.toMatchObject({ code: "23514" });
    await own.end();
  });

  test("a rule that breaks its statement takes no other with it, and shows no value", async () => {
    const broken: ValidationRule[] = [
      ...rules.slice(0, 6),
      { kind: "expression", table: "bills", expression: "title::text::int > 0 or true and title::int > 0" },
      { kind: "expression", table: "bills", expression: "1 / (id - 5) < 2" },
    ];
    const report = await runValidation(pool, broken);
    expect(report.counts).toEqual({ proved: 0, passed: 1, failed: 5, error: 2 });
    const errors = report.results.filter((result) => result.status === "error").map((result) => result.message);
    expect(errors).toEqual(["invalid input syntax for type integer: a value", "division by zero"]);
    expect(report.results.slice(0, 6)).toEqual((await runValidation(pool, rules.slice(0, 6))).results);
    expect(report.findings.filter((finding) => finding.id === "DATA-RULE-NOT-CHECKED")).toHaveLength(2);
  });

  test("a statement that takes too long ends its own rules only", async () => {
    const report = await runValidation(
      pool,
      [
        { kind: "custom-sql", table: "bills", sql: "select pg_sleep(10)" },
        { kind: "row-count", table: "bills", min: 1 },
      ],
      { statementTimeoutMs: 200 },
    );
    expect(report.results.map((result) => result.status)).toEqual(["error", "passed"]);
    expect(report.results[0]!.message).toContain("statement timeout");
  });

  test("ends when told to", async () => {
    const controller = new AbortController();
    const run = runValidation(pool, rules, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ code: "CORE_ABORTED" });
  });

  test("works over a lone client and on a standby", async () => {
    const client = new Client({ connectionString: cluster.replicas[0].url });
    await client.connect();
    await expect.poll(async () => (await client.query("select to_regclass('bills') as t")).rows[0].t).not.toBeNull();
    expect((await runValidation(client, rules)).counts.failed).toBe(5);
    await client.end();
  });

  test("a role that may not read a table gets an error for its rules, not for others", async () => {
    await pool.query("create role reader login password 'reader'; grant select on sponsors to reader");
    const url = new URL(cluster.primary.url);
    [url.username, url.password] = ["reader", "reader"];
    const reader = new Pool({ connectionString: url.href });
    const report = await runValidation(reader, rules.slice(4));
    expect(report.counts).toMatchObject({ error: 2, proved: 3 });
    await reader.end();
  });
});

describe("rules that cannot run", () => {
  test("are all named at once, with what comes near", async () => {
    const broken = [
      { kind: "not-null", table: "bils", column: "title" },
      { kind: "range", table: "bills", column: "amonut", min: 1 },
      { kind: "uniqe", table: "bills", columns: ["id"] },
      { kind: "range", table: "bills", column: "amount" },
      { kind: "range", table: "bills", column: "amount", min: "much" },
      { kind: "pattern", table: "bills", column: "title", pattern: "(" },
      { kind: "expression", table: "bills", expression: "nothing > 1" },
      { kind: "expression", table: "bills", expression: "true) or (true" },
      { kind: "foreign-key", table: "bills", columns: ["id"], references: { table: "sponsor", columns: ["id"] } },
      { kind: "foreign-key", table: "bills", columns: ["id", "title"], references },
      { kind: "row-count", table: "bills", min: 3, max: 2 },
      { kind: "not-null", table: "bills", column: "title", mostly: 2, weight: -1 },
      { id: "twice", kind: "row-count", table: "bills", min: 1 },
      { id: "twice", kind: "row-count", table: "bills", min: 1 },
      null,
    ] as unknown as ValidationRule[];
    const error = await runValidation(pool, broken).catch((caught: unknown) => caught as InvalidRulesError);
    const problems = (error as InvalidRulesError).problems.map(
      ({ rule, problem, hint = "" }) => `${rule}: ${problem} (${hint})`,
    );
    for (const expected of [
      'not-null:bils.title: there is no table "bils" (did you mean "public.bills"?)',
      'range:bills.amonut: public.bills has no column "amonut" (did you mean "amount"?)',
      'rule 3 (uniqe:bills): there is no kind "uniqe" (did you mean "unique"?)',
      "range:bills.amount: it has neither min nor max ()",
      "range:bills.amount#2: invalid input syntax for type numeric: a value ()",
      expect.stringContaining("pattern:bills.title: the pattern is no regular expression"),
      'expression:bills: column "nothing" does not exist ()',
      'foreign-key:bills.id: there is no table "sponsor" (did you mean "public.sponsors"?)',
      expect.stringContaining("2 columns refer to 1"),
      "row-count:bills: min 3 is above max 2 ()",
      expect.stringContaining("mostly must be above 0"),
      expect.stringContaining("weight must be a number above 0"),
      expect.stringContaining('the id "twice" is used 2 times'),
      "rule 15: a rule must be an object ()",
    ]) {
      expect(problems).toContainEqual(expected);
    }
  });

  test.each([
    "select 1; drop table bills",
    "delete from bills returning id",
    "with gone as (delete from bills returning id) select id from gone",
    "select 1) q; commit; drop table bills; select * from (select 1",
  ])("cannot write: %s", async (sql) => {
    const run = runValidation(pool, [{ kind: "custom-sql", table: "bills", sql }]);
    await expect(run).rejects.toMatchObject({ code: "VALIDATE_INVALID_RULES" });
    expect((await pool.query("select count(*)::int as n from bills")).rows[0].n).toBe(1000);
  });

  test("a function that writes is stopped by the transaction", async () => {
    await pool.query("create function wipe() returns int language sql volatile as $$ delete from bills; select 1 $$");
    const report = await runValidation(pool, [{ kind: "custom-sql", table: "bills", sql: "select wipe()" }]);
    expect(report.results[0]).toMatchObject({ status: "error", message: expect.stringContaining("read-only") });
  });

  test("contradicting options are named together", async () => {
    const run = runValidation(pool, [], { statementTimeoutMs: 0, samples: { limit: 0 }, asOf: "tomorrow" });
    await expect(run).rejects.toThrow(/statementTimeoutMs.*samples\.limit.*asOf/);
  });
});
