import { createPool, type LeakReport, type Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { max_connections: 60 } });
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

describe("callers who wait", () => {
  test("are served by their priority, and among equals in the order they came", async () => {
    await using pool = await freshPool({ max: 1 });
    const held = await pool.connect();
    const served: string[] = [];
    const ask = (name: string, priority?: "high" | "normal" | "low") =>
      pool.query("select 1", [], priority && { priority }).then(() => served.push(name));
    const all = [
      ask("low 1", "low"),
      ask("normal 1"),
      ask("high 1", "high"),
      ask("normal 2", "normal"),
      ask("high 2", "high"),
      pool.withTransaction(async () => served.push("high transaction"), { priority: "high" }),
      pool.connect({ priority: "low" }).then((client) => (served.push("low client"), client.release())),
    ];
    await expect.poll(() => pool.waitingCount).toBe(all.length);
    held.release();
    await Promise.all(all);
    expect(served).toEqual(["high 1", "high 2", "high transaction", "normal 1", "normal 2", "low 1", "low client"]);
  });

  test("of a full queue give way to a more urgent one, the last of the least urgent first", async () => {
    await using pool = await freshPool({ max: 1, maxWaiting: 2 });
    const held = await pool.connect();
    const low = pool.query("select 1 as n", [], { priority: "low" });
    const last = rejection(pool.query("select 2 as n", [], { priority: "low" }));
    const high = pool.query("select 3 as n", [], { priority: "high" });
    expect(await last).toMatchObject({ code: "POOL_SATURATED" });
    expect(await rejection(pool.query("select 4", [], { priority: "low" }))).toMatchObject({ code: "POOL_SATURATED" });
    held.release();
    expect([(await low).rows, (await high).rows]).toEqual([[{ n: 1 }], [{ n: 3 }]]);
  });
});

describe("a pause", () => {
  test("lets what runs finish, holds back what comes, and goes on in order", async () => {
    await using pool = await freshPool({ max: 1 });
    const client = await pool.connect();
    const paused = pool.pause();
    const order: number[] = [];
    const later = [1, 2, 3].map((n) => pool.query("select 1").then(() => order.push(n)));
    const inTransaction = pool.withTransaction(async (tx) => await tx.query("select 1"));
    await client.query("select 1");
    expect(pool.stats()).toMatchObject({ paused: true, waiting: 4, checkedOut: 1 });
    client.release();
    expect(await paused).toBe(true);
    expect(order).toEqual([]);
    pool.resume();
    await Promise.all([...later, inTransaction]);
    expect(order).toEqual([1, 2, 3]);
    expect(pool.stats()).toMatchObject({ paused: false, waiting: 0 });
  });

  test("says when something still runs, and refuses who waited too long or gave up", async () => {
    await using pool = await freshPool({ acquireTimeoutMs: 60, maxWaiting: 2 });
    const client = await pool.connect();
    expect(await pool.pause({ timeoutMs: 10 })).toBe(false);
    const controller = new AbortController();
    const tooLong = rejection(pool.query("select 1"));
    const givenUp = rejection(pool.query("select 1", [], { signal: controller.signal }));
    expect(await rejection(pool.query("select 1"))).toMatchObject({ code: "POOL_SATURATED" });
    controller.abort();
    expect(await givenUp).toMatchObject({ code: "CORE_ABORTED" });
    expect(await tooLong).toMatchObject({ code: "POOL_PAUSED", retryable: true });
    client.release();
  });

  test("ends with the pool", async () => {
    const pool = await freshPool();
    await pool.pause();
    const waiting = rejection(pool.query("select 1"));
    await pool.end();
    expect(await waiting).toMatchObject({ code: "POOL_CLOSED" });
  });
});

describe("a server that is full", () => {
  test("is asked for fewer connections until it has room again, and everybody is served meanwhile", async () => {
    await using pool = await freshPool({ max: 10, connectConcurrency: 5, acquireTimeoutMs: 30_000 });
    const limited = await cluster.connect();
    const role = `few_${Date.now()}`;
    await limited.query(`create role ${role} login password 'few' connection limit 3`);
    const url = new URL((pool.options as { connectionString: string }).connectionString);
    url.username = role;
    url.password = "few";
    await using few = createPool({
      primaryUrl: url.href,
      max: 10,
      connectConcurrency: 5,
      acquireTimeoutMs: 30_000,
      probeIntervalMs: false,
    });
    const work = () => Promise.all(Array.from({ length: 40 }, () => few.query("select pg_sleep(0.01)")));
    await work();
    expect(few.stats().servers[0]).toMatchObject({ allowed: expect.any(Number) });
    expect(few.stats().servers[0]!.allowed).toBeLessThanOrEqual(4);
    expect(few.stats().total).toBeLessThanOrEqual(3);
    await limited.query(`alter role ${role} connection limit -1`);
    await expect.poll(async () => (await work(), few.stats().total), { timeout: 20_000 }).toBeGreaterThan(4);
    await limited.end();
  });
});

describe("a leak", () => {
  test("is reclaimed: its connection is replaced, and its holder's next statement fails and says why", async () => {
    await using pool = await freshPool({ max: 1, leakThresholdMs: 30, leakAction: "reclaim" });
    const leaks: LeakReport[] = [];
    pool.on("leak", (leak) => leaks.push(leak));
    const session = await pool.acquire();
    await session.query("select 1");
    // The only connection there is comes back by itself.
    expect((await pool.query("select 2 as n")).rows).toEqual([{ n: 2 }]);
    expect(leaks).toMatchObject([
      { reclaimed: true, busy: false, stack: expect.stringContaining("waiting.pg.test.ts") },
    ]);
    const error = await rejection(session.query("select 3"));
    expect(error).toMatchObject({ code: "POOL_CONNECTION_LOST", cause: { code: "POOL_CONNECTION_RECLAIMED" } });
    await session.release();
    expect(pool.stats()).toMatchObject({ total: 1, checkedOut: 0, leaks: 1 });
  });

  test("that works is slow rather than forgotten, and is left to finish", async () => {
    await using pool = await freshPool({ max: 1, leakThresholdMs: 30, leakAction: "reclaim" });
    const reported = new Promise<LeakReport>((resolve) => pool.once("leak" as "error", resolve as never));
    const slow = pool.withSession((session) => session.query("select pg_sleep(0.3), 5 as n"));
    expect(await reported).toMatchObject({ reclaimed: false, busy: true });
    expect((await slow).rows).toMatchObject([{ n: 5 }]);
  });
});

describe("a session that is disposed", () => {
  test("leaves nothing behind and refuses everything afterwards", async () => {
    await using pool = await freshPool({ max: 1 });
    let kept;
    {
      await using session = await pool.acquire();
      kept = session;
      await session.query("set work_mem = '7MB'");
      await session.query("begin");
    }
    expect((await pool.query("show work_mem")).rows).toEqual([{ work_mem: "4MB" }]);
    expect(pool.stats()).toMatchObject({ leftOpen: 1, checkedOut: 0 });
    expect(await rejection(kept.query("select 1"))).toMatchObject({ code: "POOL_SESSION_ENDED" });
    expect(await rejection(kept.release())).toMatchObject({ code: "POOL_DOUBLE_RELEASE" });
  });

  test("or a client that is, gives its connection back", async () => {
    await using pool = await freshPool({ max: 1 });
    {
      using client = await pool.connect();
      await client.query("select 1");
      expect(pool.idleCount).toBe(0);
    }
    expect(pool.idleCount).toBe(1);
  });
});

describe("connections", () => {
  test("grow with what is asked for, up to max, and shrink to min again when idle", async () => {
    await using pool = await freshPool({ max: 6, min: 2, idleTimeoutMs: 100 });
    await pool.start();
    expect(pool.totalCount).toBe(2);
    await Promise.all(Array.from({ length: 30 }, () => pool.query("select pg_sleep(0.05)")));
    expect(pool.totalCount).toBeGreaterThan(2);
    expect(pool.totalCount).toBeLessThanOrEqual(6);
    await expect.poll(() => pool.totalCount).toBe(2);
    await pool.warmUp(4);
    expect(pool.idleCount).toBe(4);
  });
});
