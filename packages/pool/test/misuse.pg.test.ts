import { createPool, type Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
let url: string;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  ({ url } = await cluster.createDatabase());
});
afterAll(() => cluster.stop());

const calls: Readonly<Record<string, (pool: Pool) => unknown>> = {
  query: (pool) => pool.query("select 1"),
  "replica.query": (pool) => pool.replica.query("select 1"),
  connect: (pool) => pool.connect(),
  acquire: (pool) => pool.acquire(),
  withSession: (pool) => pool.withSession(async () => 1),
  withTransaction: (pool) => pool.withTransaction(async () => 1),
  stream: (pool) => pool.stream("select 1").next(),
  copyFrom: (pool) => pool.copyFrom("copy t from stdin", []),
  copyTo: (pool) => pool.copyTo("copy t to stdout").next(),
  insertMany: (pool) => pool.insertMany({ table: "t", columns: ["a"], rows: [[1]] } as never),
  listen: (pool) => pool.listen("news", () => undefined),
  "session.query": (pool) => pool.session().query("select 1"),
  start: (pool) => pool.start(),
  warmUp: (pool) => pool.warmUp(2),
  pause: (pool) => pool.pause(),
  setReplicas: (pool) => pool.setReplicas([]),
  end: (pool) => pool.end(),
};

describe("a pool that was ended", () => {
  test.each(Object.keys(calls))("says so to %s", async (name) => {
    const pool = createPool({ primaryUrl: url, probeIntervalMs: false });
    await pool.query("select 1");
    await pool.end();
    const call = async (): Promise<unknown> => await calls[name]!(pool);
    await expect(call()).rejects.toMatchObject({ code: "POOL_CLOSED" });
    expect(pool.totalCount).toBe(0);
  });

  test("is not healthy, and may be drained again", async () => {
    const pool = createPool({ primaryUrl: url, probeIntervalMs: false });
    expect(pool.health().status).toBe("pass");
    const report = pool.drain();
    expect(pool.health()).toMatchObject({ status: "fail" });
    expect(await pool.drain()).toBe(await report);
    expect(pool.health().checks[0]).toMatchObject({ name: "pool:open", output: "The pool is closing or closed." });
  });
});

describe("what one call cannot ask for", () => {
  const refused = (...problems: string[]) => ({ code: "POOL_INVALID_CALL_OPTIONS", problems });

  test("is refused before anything is sent, all of it at once", async () => {
    await using pool = createPool({ primaryUrl: url, probeIntervalMs: false, retry: false });
    const odd = { target: "master", timeoutMs: -5, priority: "urgent", consistency: "perfect" } as never;
    const problems = [
      'target is "master", not one of primary, replica, any',
      'priority is "urgent", not one of high, normal, low',
      'consistency is "perfect", not one of eventual, session, strong',
      "timeoutMs is -5, not a number above 0 to 2147483647, Infinity or false",
    ];
    await expect(pool.query("select 1", [], odd)).rejects.toMatchObject(refused(...problems));
    await expect(pool.session().query("select 1", [], odd)).rejects.toMatchObject({ code: refused().code });
    await expect(pool.connect(odd)).rejects.toMatchObject({ code: refused().code });
    await expect(pool.withSession(async () => 1, odd)).rejects.toMatchObject(refused(...problems));
    await expect(pool.acquire(odd)).rejects.toMatchObject(refused(...problems));
    expect(pool.totalCount).toBe(0);
    const within = pool.withSession((session) => session.query("select 1", [], { timeoutMs: 2 ** 31 }));
    await expect(within).rejects.toMatchObject({ code: refused().code });
  });

  test("is refused of a transaction, whose isolation is part of its text", async () => {
    await using pool = createPool({ primaryUrl: url, probeIntervalMs: false });
    const isolation = "serializable; create table slipped_in ()" as never;
    await expect(pool.withTransaction(async () => 1, { isolation, deferrable: true })).rejects.toMatchObject(
      refused(
        'isolation is "serializable; create table slipped_in ()", not one of read committed, repeatable read, serializable',
        'deferrable is true, which needs readOnly and isolation "serializable"',
      ),
    );
    const writing = pool.withTransaction(async () => 1, { target: "replica", readOnly: false, retries: NaN });
    await expect(writing).rejects.toMatchObject(
      refused("retries is NaN, not a number from 0", 'readOnly is false, but target is "replica"'),
    );
    expect((await pool.query("select to_regclass('slipped_in') as oid")).rows).toEqual([{ oid: null }]);
  });

  test("is not confused with no limit", async () => {
    await using pool = createPool({ primaryUrl: url, probeIntervalMs: false });
    const { signal } = new AbortController();
    const slow = "select 1 as one from pg_sleep(0.05)";
    expect((await pool.query(slow, [], { timeoutMs: Infinity, signal })).rows).toEqual([{ one: 1 }]);
    const deferrable = { isolation: "serializable", readOnly: true, deferrable: true } as const;
    expect(await pool.withTransaction(async (tx) => (await tx.query(slow)).rows, deferrable)).toEqual([{ one: 1 }]);
  });

  test("is a statement without a text, as pg says", async () => {
    await using pool = createPool({ primaryUrl: url, probeIntervalMs: false, tags: { app: "bills" } });
    await expect(pool.query({} as never)).rejects.toThrow("text");
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });
});

test("a pool is not made for a server that nobody named", () => {
  const missing = expect.objectContaining({ code: "POOL_INVALID_OPTIONS" }) as Error;
  expect(() => createPool({ primaryUrl: process.env["NO_SUCH_VARIABLE"]! })).toThrow(missing);
  expect(() => createPool(undefined as never)).toThrow(missing);
});
