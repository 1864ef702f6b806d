import type { Queryable } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StatementBatches } from "../src/batch.ts";

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
  const results = await Promise.allSettled(sql.map((text) => joining.query(text)));
  return [asked.length, results.map((result) => (result.status === "fulfilled" ? result.value.rows : "failed"))];
}

test("what is asked at the same moment is one statement, its rows in order and its values as they were", async () => {
  const [statements, answers] = await ask(new StatementBatches(), [
    "select 1.5::float8 as m0, 'a \"b\"' as l0, null as none, true as yes",
    "with n as (select g from generate_series(1, 3) g) select g as id from n order by g desc limit 2",
    "select 1 as one where false",
    "select 'Infinity'::float8 as m0",
  ]);
  expect(statements).toBe(1);
  expect(answers).toEqual([
    [{ m0: 1.5, l0: 'a "b"', none: null, yes: true }],
    [{ id: 3 }, { id: 2 }],
    [],
    [{ m0: "Infinity" }],
  ]);
});

test("what is asked after an answer, or with values, is a statement of its own", async () => {
  asked.length = 0;
  const joining = new StatementBatches().in(session);
  await Promise.all([
    joining.query("select 1 as a").then(() => joining.query("select 2 as b")),
    joining.query("select 3 as c"),
    joining.query("select $1::int as d", [4]),
  ]);
  expect(asked).toHaveLength(3);
  expect(asked.slice(1)).toEqual(["select $1::int as d", "select 2 as b"]);
});

test("one that fails spoils no other, stays by itself, and is joined again once it succeeds", async () => {
  const batches = new StatementBatches();
  const sql = ["select 1 as a", "select b from later", "select 3 as c"];
  // Joined, then each; then the two that work, and the other one.
  await expect(ask(batches, sql)).resolves.toEqual([4, [[{ a: 1 }], "failed", [{ c: 3 }]]]);
  await expect(ask(batches, sql)).resolves.toEqual([2, [[{ a: 1 }], "failed", [{ c: 3 }]]]);
  await client.query("create table later as select 2 as b");
  await expect(ask(batches, sql)).resolves.toEqual([2, [[{ a: 1 }], [{ b: 2 }], [{ c: 3 }]]]);
  await expect(ask(batches, sql)).resolves.toEqual([1, [[{ a: 1 }], [{ b: 2 }], [{ c: 3 }]]]);
});

test("what takes too long together is asked one by one for a while", async () => {
  const batches = new StatementBatches();
  const sql = ["select 1 as a from pg_sleep(0.3)", "select 2 as b from pg_sleep(0.3)"];
  await client.query("set statement_timeout = '450ms'");
  try {
    await expect(ask(batches, sql)).resolves.toEqual([3, [[{ a: 1 }], [{ b: 2 }]]]);
    await expect(ask(batches, sql)).resolves.toEqual([2, [[{ a: 1 }], [{ b: 2 }]]]);
    const quick = ["select 1 as a", "select 2 as b"];
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
  const results = await Promise.allSettled([joining.query("select 1"), joining.query("select 2")]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
