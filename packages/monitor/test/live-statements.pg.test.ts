import type { Queryable } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LiveStatements } from "../src/live-statements.ts";
import { freeText, rowsSql } from "../src/rows.ts";

const [one, two, three, absent] = [["1"], ["2"], ["3"], ["b", "later"]].map(([column = "", table]) =>
  rowsSql([column], table === undefined ? "" : `from ${table}`),
) as [string, string, string, string];

let cluster: TestCluster<0>;
let client: Client;
const asked: string[] = [];
const session: Queryable = {
  query: async (text, values) => {
    asked.push(text);
    return client.query(text, values ? [...values] : undefined);
  },
};

beforeAll(async () => {
  cluster = await startCluster();
  client = await cluster.connect();
});

afterAll(async () => {
  await client?.end();
  await cluster?.stop();
});

/** How many statements went to the server, and how each was answered. */
async function ask(live: LiveStatements, sql: readonly string[]): Promise<[number, unknown[]]> {
  asked.length = 0;
  const rowsOf = await live.ask(session, sql);
  const answers = sql.map((text) => {
    try {
      return rowsOf(text);
    } catch {
      return "failed";
    }
  });
  return [asked.length, answers];
}

test("what is asked together is one statement, its rows in order and its values as text", async () => {
  const [statements, answers] = await ask(new LiveStatements(), [
    rowsSql(["1.5::float8", "'a \"b\"'", "null", "true", "9223372036854775808::numeric"], ""),
    `with n as (select g from generate_series(1, 3) g) ${rowsSql(["g"], "from n order by g desc limit 2")}`,
    rowsSql(["1"], "where false"),
    rowsSql(["null"], ""),
    rowsSql(["'Infinity'::float8", "5::oid", "'x'::name"], ""),
  ]);
  expect(statements).toBe(1);
  expect(answers).toEqual([
    [["1.5", 'a "b"', "", "t", "9223372036854775808"]],
    [["3"], ["2"]],
    [],
    [[""]],
    [["Infinity", "5", "x"]],
  ]);
});

test("more columns than a function takes, and more statements", async () => {
  const wide = rowsSql(
    Array.from({ length: 120 }, (_, i) => String(i)),
    "from generate_series(1, 2)",
  );
  const many = Array.from({ length: 101 }, (_, i) => rowsSql([String(i)], ""));
  const [statements, [first, ...others]] = await ask(new LiveStatements(), [wide, ...many]);
  expect(statements).toBe(1);
  const row = Array.from({ length: 120 }, (_, i) => String(i));
  expect(first).toEqual([row, row]);
  expect(others).toEqual(many.map((_, i) => [[String(i)]]));
});

test("text that users chose ends no field", async () => {
  const name = String.raw`E'a\x1fb\x1ec\x1dd\ne'`;
  const free = rowsSql([freeText(name), "1"], "");
  await expect(ask(new LiveStatements(), [free, two])).resolves.toEqual([1, [[["a?b?c?d\ne", "1"]], [["2"]]]]);
  // Were it forgotten, what others asked would not be taken for something else.
  const [, answers] = await ask(new LiveStatements(), [rowsSql([name], ""), two, three]);
  expect(answers.slice(1)).toEqual([[["2"]], [["3"]]]);
});

test("rows that are as they were are the same rows", async () => {
  const live = new LiveStatements();
  const changing = rowsSql(["clock_timestamp()"], "");
  const before = await live.ask(session, [one, changing]);
  const [same, other] = [before(one), before(changing)];
  const after = await live.ask(session, [one, changing]);
  expect(after(one)).toBe(same);
  expect(after(changing)).not.toBe(other);
});

test("one that fails spoils no other, stays by itself, and is joined again once it succeeds", async () => {
  const live = new LiveStatements();
  const sql = [one, absent, three];
  // Joined, then each; then the two that work, and the other one.
  await expect(ask(live, sql)).resolves.toEqual([4, [[["1"]], "failed", [["3"]]]]);
  await expect(ask(live, sql)).resolves.toEqual([2, [[["1"]], "failed", [["3"]]]]);
  await client.query("create table later as select 2 as b");
  await expect(ask(live, sql)).resolves.toEqual([2, [[["1"]], [["2"]], [["3"]]]]);
  await expect(ask(live, sql)).resolves.toEqual([1, [[["1"]], [["2"]], [["3"]]]]);
});

test("what takes too long together is asked one by one for a while", async () => {
  const live = new LiveStatements();
  const sql = [rowsSql(["1"], "from pg_sleep(0.3)"), rowsSql(["2"], "from pg_sleep(0.3)")];
  await client.query("set statement_timeout = '450ms'");
  try {
    await expect(ask(live, sql)).resolves.toEqual([3, [[["1"]], [["2"]]]]);
    await expect(ask(live, sql)).resolves.toEqual([2, [[["1"]], [["2"]]]]);
    const quick = [one, two];
    for (let i = 0; i < 59; i++) expect((await ask(live, quick))[0]).toBe(2);
    expect((await ask(live, quick))[0]).toBe(1);
  } finally {
    await client.query("reset statement_timeout");
  }
});

test("a lost connection is told once", async () => {
  const lost = await cluster.connect();
  const { rows } = await lost.query<{ pid: number }>("select pg_backend_pid() as pid");
  await client.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
  const queries: string[] = [];
  const query: Queryable["query"] = (text) => {
    queries.push(text);
    return lost.query(text);
  };
  await expect(new LiveStatements().ask({ query }, [one, two])).rejects.toThrow();
  expect(queries).toHaveLength(1);
});
