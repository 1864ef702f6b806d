import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKnown } from "./known.ts";

let cluster: TestCluster;
let url: string;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { max_connections: 80 } });
  const database = await cluster.createDatabase();
  url = database.url;
  const client = await cluster.connect(new URL(url).pathname.slice(1));
  // No word of a statement that calls it tells how long it takes.
  await client.query(`create function doze(ms int) returns int language plpgsql as
    'begin perform pg_sleep(ms / 1000.0); return ms; end'`);
  // The same, and then it waits for whoever holds the lock.
  await client.query(`create function doze_and_wait(ms int) returns int language plpgsql as
    'begin perform pg_sleep(ms / 1000.0), pg_advisory_xact_lock_shared(1); return ms; end'`);
  await client.end();
});
afterAll(() => cluster.stop());

function open(options: Partial<PoolOptions> = {}): Pool {
  return createPool({ primaryUrl: url, probeIntervalMs: false, acquireTimeoutMs: 60_000, ...options });
}

const doze = "select doze($1) as ms";
const fast = "select $1::int as n";

/** Runs it as often as it takes to be well known, one at a time. */
async function learn(pool: Pool, text: string, value: number): Promise<void> {
  for (let use = 0; use < 20; use += 1) await pool.query(text, [value]);
}

describe("a statement that takes long", () => {
  const slow = "select doze_and_wait($1) as ms";

  /** How many connections hold that many of them, all waiting for one lock. */
  async function held(pool: Pool, count: number): Promise<void> {
    const holder = await cluster.connect(new URL(url).pathname.slice(1));
    await holder.query("select pg_advisory_lock(1)");
    const waiting = Promise.all(Array.from({ length: count }, () => pool.query(slow, [12])));
    try {
      await expect.poll(() => pool.stats().checkedOut, { timeout: 20_000 }).toBe(count);
    } finally {
      await holder.end();
      await waiting;
    }
  }

  test("has a connection to itself, also where all of them do and none tells how far the server is", async () => {
    await using pool = open();
    await learn(pool, slow, 30);
    await held(pool, 10);
  });

  test("goes on having one, however often it is run", async () => {
    await using pool = open({ max: 20 });
    await learn(pool, fast, 1);
    await learn(pool, slow, 12);
    for (let use = 0; use < 20; use += 1) await Promise.all(Array.from({ length: 20 }, () => pool.query(slow, [12])));
    await held(pool, 20);
  });
});

test("statements share connections over a long way too, which is not held against them", async () => {
  await using proxy = await startFaultProxy({ target: url });
  proxy.delay(50);
  // On a busy machine the way may seem too uneven ever to be taken for granted: another pool begins anew.
  const held = async (): Promise<number> => {
    await using pool = open({ primaryUrl: proxy.url(url) });
    await learn(pool, fast, 1);
    const reading = Promise.all(Array.from({ length: 8 }, (_, n) => pool.query<{ n: number }>(fast, [n])));
    await new Promise((resolve) => setImmediate(resolve));
    const { checkedOut, waiting } = pool.stats();
    expect((await reading).map(({ rows }) => rows[0]!.n)).toEqual(Array.from({ length: 8 }, (_, n) => n));
    return checkedOut + waiting;
  };
  // At first they seem slow; then the way is taken, and they are believed again.
  await expect.poll(held, { timeout: 50_000 }).toBeLessThanOrEqual(4);
});

test("statements behind one that takes long for once do not queue behind those known to be slow", async () => {
  await using pool = open({ max: 4 });
  await learn(pool, fast, 1);
  await learn(pool, doze, 0);
  const inOrder = async (): Promise<string[]> => {
    const order: string[] = [];
    const note = (what: string) => (): void => void order.push(what);
    // Known to be fast, so it shares; nobody could know better.
    const surprise = pool.query(doze, [150]).then(note("surprise"));
    const sleeping = Array.from({ length: 6 }, () => pool.query("select pg_sleep(0.8)").then(note("slow")));
    // By then all connections are held, and others wait.
    await expect.poll(() => pool.stats()).toMatchObject({ checkedOut: 4 });
    await new Promise((resolve) => setTimeout(resolve, 40));
    const reading = Promise.all(Array.from({ length: 20 }, (_, n) => pool.query(fast, [n]))).then(note("fast"));
    await Promise.all([surprise, reading, ...sleeping]);
    await learn(pool, fast, 1);
    return order.slice(0, 2).sort();
  };
  // A machine that stalls may have made a fast one seem slow.
  await expect.poll(inOrder, { timeout: 50_000 }).toEqual(["fast", "surprise"]);
});

test.each([0, 20])("statements asked for before the end are all answered, known by %i uses", async (uses) => {
  const pool = open({ idleTimeoutMs: false });
  for (let use = 0; use < uses; use += 1) await pool.query(fast, [use]);
  pool.retireConnections();
  const reading = Promise.all(Array.from({ length: 200 }, (_, n) => pool.query<{ n: number }>(fast, [n])));
  await Promise.all([reading, pool.end()]);
  expect((await reading).map(({ rows }) => rows[0]!.n)).toEqual(Array.from({ length: 200 }, (_, n) => n));
});

describe("a bound of the pool for every statement", () => {
  const bounded = { queryTimeoutMs: 1_200, max: 4 } as const;

  test("does not keep them from sharing connections", async () => {
    await using pool = open({ queryTimeoutMs: 30_000 });
    await makeKnown(pool, fast, [1]);
    const reading = Promise.all(Array.from({ length: 100 }, (_, n) => pool.query(fast, [n])));
    await new Promise((resolve) => setImmediate(resolve));
    const { checkedOut, waiting } = pool.stats();
    expect(checkedOut + waiting).toBeLessThanOrEqual(5);
    await reading;
  });

  test("cancels on the server the one that reaches it, and costs neither those behind it nor the connection", async () => {
    await using pool = open(bounded);
    await makeKnown(pool, fast, [1]);
    await makeKnown(pool, doze, [0]);
    const opened = pool.stats().servers[0]!.connectionsOpened;
    // In one tick, so that they share what is there.
    const outcomes = await Promise.allSettled([
      pool.query(doze, [60_000]),
      pool.query(doze, [50_000]),
      ...Array.from({ length: 30 }, (_, n) => pool.query<{ n: number }>(fast, [n])),
    ]);
    for (const outcome of outcomes.slice(0, 2)) {
      expect((outcome as PromiseRejectedResult).reason).toMatchObject({
        code: "POOL_QUERY_TIMEOUT",
        timeoutMs: 1_200,
        cancelled: true,
      });
    }
    const rows = outcomes
      .slice(2)
      .map((outcome) => (outcome as PromiseFulfilledResult<{ rows: unknown[] }>).value.rows);
    expect(rows).toEqual(Array.from({ length: 30 }, (_, n) => [{ n }]));
    const running =
      "select count(*)::int as n from pg_stat_activity where state = 'active' and query like '%doze%' and pid <> pg_backend_pid()";
    expect((await pool.query(running)).rows).toEqual([{ n: 0 }]);
    await expect.poll(() => pool.stats().checkedOut).toBe(0);
    const { connectionsOpened, connectionsClosed } = pool.stats().servers[0]!;
    expect(connectionsClosed).toBe(0);
    expect(connectionsOpened - opened).toBeLessThanOrEqual(2);
    expect(pool.stats().queryTimeouts).toBe(2);
  });

  test("is counted from when the server begins with it: who waits behind another has all of it", async () => {
    await using pool = open({ ...bounded, queryTimeoutMs: 3_000, pipeline: { lanes: 1 } });
    await makeKnown(pool, fast, [1]);
    await makeKnown(pool, doze, [0]);
    const three = await Promise.all([1_200, 1_200, 1_200].map((ms) => pool.query<{ ms: number }>(doze, [ms])));
    expect(three.map(({ rows }) => rows[0]!.ms)).toEqual([1_200, 1_200, 1_200]);
  });
});
