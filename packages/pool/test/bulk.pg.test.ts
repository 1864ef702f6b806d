import { createPool, type ListenGap, type Pool, type PoolNotification, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

async function freshPool(options: Partial<PoolOptions> = {}): Promise<Pool> {
  const { url } = await cluster.createDatabase();
  return createPool({ primaryUrl: url, ...options });
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

describe("stream", () => {
  test("reads every row once, a batch at a time", async () => {
    await using pool = await freshPool({ max: 1 });
    for (const count of [0, 1, 100, 250]) {
      const seen: number[] = [];
      const rows = pool.stream<{ n: number }>("select n from generate_series(1, $1) n", [count], { batchSize: 100 });
      for await (const { n } of rows) seen.push(n);
      expect(seen).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    }
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  test("gives its connection back when the loop is left early or the query fails", async () => {
    await using pool = await freshPool({ max: 1 });
    for await (const row of pool.stream<{ n: number }>("select n from generate_series(1, 100000) n", [], {
      batchSize: 10,
    })) {
      if (row.n === 25) break;
    }
    expect(await rejection(pool.stream("select 1 / (3 - n) from generate_series(1, 5) n").next())).toMatchObject({
      code: "22012",
    });
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(pool.stats().servers[0]!.connectionsOpened).toBe(1);
  });

  test("is cancelled on the server when its signal fires", async () => {
    await using pool = await freshPool({ max: 1 });
    const signal = AbortSignal.timeout(50);
    expect(await rejection(pool.stream("select pg_sleep(30)", [], { signal }).next())).toMatchObject({
      code: "CORE_ABORTED",
    });
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });
});

describe("copyFrom and copyTo", () => {
  test("carry rows in and out in pieces of any size", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table t (id int, name text)");
    async function* lines(): AsyncGenerator<string> {
      for (let id = 1; id <= 10_000; id += 1) yield `${id}\tname ${id}\n`;
    }
    expect(await pool.copyFrom("copy t from stdin", lines())).toBe(10_000);
    let text = "";
    for await (const chunk of pool.copyTo("copy (select id from t order by id limit 3) to stdout"))
      text += chunk.toString();
    expect(text).toBe("1\n2\n3\n");
    for await (const _ of pool.copyTo("copy t to stdout")) break;
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 10_000 }]);
  });

  test("load nothing when the source or the server fails", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table t (id int)");
    async function* broken(): AsyncGenerator<string> {
      yield "1\n";
      throw new Error("the file ended early");
    }
    await expect(pool.copyFrom("copy t from stdin", broken())).rejects.toThrow("the file ended early");
    expect(await rejection(pool.copyFrom("copy t from stdin", ["1\nnot a number\n"]))).toMatchObject({ code: "22P02" });
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 0 }]);
  });
});

describe("insertMany", () => {
  test("inserts rows of every kind of column, all or none", async () => {
    await using pool = await freshPool();
    await pool.query(
      `create table "odd Table" (id int primary key, at timestamptz, tags text[], doc jsonb, "select" numeric)`,
    );
    const columns = ["id", "at", "tags", "doc", "select"];
    const at = new Date("2026-01-02T03:04:05Z");
    const row = (id: number): unknown[] => [id, at, ['a "b"', null, "c\\d", "{}"], { n: id }, "12.5"];
    const rows = Array.from({ length: 1_000 }, (_, id) => row(id));
    rows.push([1_000, null, null, null, null]);
    expect(await pool.insertMany({ table: "odd Table", columns, rows, batchRows: 300 })).toBe(1_001);
    const { rows: read } = await pool.query(`select * from "odd Table" where id in (7, 1000) order by id`);
    expect(read).toEqual([
      { id: 7, at, tags: ['a "b"', null, "c\\d", "{}"], doc: { n: 7 }, select: "12.5" },
      { id: 1_000, at: null, tags: null, doc: null, select: null },
    ]);
    const again = { table: ["public", "odd Table"] as const, columns, rows: [row(2_000), row(7)] };
    expect(await rejection(pool.insertMany(again))).toMatchObject({ code: "23505" });
    expect((await pool.query(`select count(*)::int as n from "odd Table"`)).rows).toEqual([{ n: 1_001 }]);
    expect(await pool.insertMany({ ...again, onConflict: "nothing" })).toBe(1);
  });

  test("refuses columns the table lacks and rows of another length", async () => {
    await using pool = await freshPool();
    await pool.query("create table t (id int)");
    const refused = (columns: string[], rows: unknown[][]): Promise<unknown> =>
      rejection(pool.insertMany({ table: "t", columns, rows }));
    expect(await refused(["id", "nope"], [[1, 2]])).toMatchObject({ message: '"t" has no column nope' });
    expect(await refused(["id"], [[1], [1, 2]])).toMatchObject({ code: "POOL_INVALID_BULK_INSERT" });
  });
});

describe("listen", () => {
  test("delivers, reconnects by itself, and tells about the gap", async () => {
    await using pool = await freshPool();
    const heard: PoolNotification[] = [];
    const gaps: ListenGap[] = [];
    const subscription = await pool.listen("Bills", (notification) => heard.push(notification), {
      onGap: (gap) => gaps.push(gap),
    });
    const notify = (payload: string): Promise<unknown> => pool.query("select pg_notify('Bills', $1)", [payload]);
    await notify("one");
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(["one"]);
    await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen \"Bills\"'");
    await expect.poll(() => gaps).toHaveLength(1);
    await notify("two");
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(["one", "two"]);
    await subscription[Symbol.asyncDispose]();
    await notify("three");
    expect(heard).toHaveLength(2);
  });
});
