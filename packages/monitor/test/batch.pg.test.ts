import type { Queryable } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StatementBatches } from "../src/batch.ts";
import { readRows, rowsSql } from "../src/rows.ts";

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

/** How many statements went to the server, and how each of the three was answered. */
async function ask(batches: StatementBatches, sql: readonly string[]): Promise<[number, unknown[]]> {
  asked.length = 0;
  const joining = batches.in(session);
  const results = await Promise.allSettled(sql.map((text) => readRows(joining, text)));
  return [asked.length, results.map((result) => (result.status === "fulfilled" ? result.value : "failed"))];
}

test("what is asked at the same moment is one statement, its rows in order and its values as they were", async () => {
  const [statements, answers] = await ask(new StatementBatches(), [
    rowsSql(["1.5::float8", "'a \"b\"'", "null", "true", "9223372036854775808::numeric"], ""),
    `with n as (select g from generate_series(1, 3) g) ${rowsSql(["g"], "from n order by g desc limit 2")}`,
    rowsSql(["1"], "where false"),
    rowsSql(["'Infinity'::float8", "5::oid", "'x'::name"], ""),
  ]);
  expect(statements).toBe(1);
  expect(answers).toEqual([[[1.5, 'a "b"', null, true, 2 ** 63]], [[3], [2]], [], [["Infinity", "5", "x"]]]);
});

test("what is asked after an answer, or with values, is a statement of its own", async () => {
  asked.length = 0;
  const joining = new StatementBatches().in(session);
  await Promise.all([
    readRows(joining, one).then(() => readRows(joining, two)),
    readRows(joining, three),
    joining.query("select $1::int as d", [4]),
  ]);
  expect(asked).toHaveLength(3);
  expect(asked.slice(1)).toEqual(["select $1::int as d", two]);
});

test("what several ask for at the same moment is asked once, and given to each", async () => {
  const [statements, answers] = await ask(new StatementBatches(), [one, two, one]);
  expect([statements, answers]).toEqual([1, [[[1]], [[2]], [[1]]]]);
  expect(asked[0]?.split(one)).toHaveLength(2);
  await expect(ask(new StatementBatches(), [two, absent, absent])).resolves.toEqual([3, [[[2]], "failed", "failed"]]);
});

test("alone, without a batch, rows are the same", async () => {
  await expect(readRows(session, rowsSql(["1", "'a'", "null"], ""))).resolves.toEqual([[1, "a", null]]);
});

test("one that fails spoils no other, stays by itself, and is joined again once it succeeds", async () => {
  const batches = new StatementBatches();
  const sql = [one, absent, three];
  // Joined, then each; then the two that work, and the other one.
  await expect(ask(batches, sql)).resolves.toEqual([4, [[[1]], "failed", [[3]]]]);
  await expect(ask(batches, sql)).resolves.toEqual([2, [[[1]], "failed", [[3]]]]);
  await client.query("create table later as select 2 as b");
  await expect(ask(batches, sql)).resolves.toEqual([2, [[[1]], [[2]], [[3]]]]);
  await expect(ask(batches, sql)).resolves.toEqual([1, [[[1]], [[2]], [[3]]]]);
});

test("what takes too long together is asked one by one for a while", async () => {
  const batches = new StatementBatches();
  const sql = [rowsSql(["1"], "from pg_sleep(0.3)"), rowsSql(["2"], "from pg_sleep(0.3)")];
  await client.query("set statement_timeout = '450ms'");
  try {
    await expect(ask(batches, sql)).resolves.toEqual([3, [[[1]], [[2]]]]);
    await expect(ask(batches, sql)).resolves.toEqual([2, [[[1]], [[2]]]]);
    const quick = [one, two];
    for (let i = 0; i < 59; i++) expect((await ask(batches, quick))[0]).toBe(2);
    expect((await ask(batches, quick))[0]).toBe(1);
  } finally {
    await client.query("reset statement_timeout");
  }
});

test("a lost connection is told to all who asked, once", async () => {
  const lost = await cluster.connect();
  const { rows } = await lost.query<{ pid: number }>("select pg_backend_pid() as pid");
  const joining = new StatementBatches().in({ query: (text) => lost.query(text) });
  await client.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
  const results = await Promise.allSettled([readRows(joining, one), readRows(joining, two)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
