import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { type FaultProxy, startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster<1>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, replicas: 1 });
});
afterAll(() => cluster.stop());

const fast: Partial<PoolOptions> = {
  probeIntervalMs: 50,
  probeTimeoutMs: 250,
  probeFailureThreshold: 2,
  cancelTimeoutMs: 200,
};

async function behindProxy(
  options: Partial<PoolOptions> = {},
): Promise<{ pool: Pool; proxy: FaultProxy } & AsyncDisposable> {
  const { url } = await cluster.createDatabase();
  const proxy = await startFaultProxy({ target: url });
  const pool = createPool({ primaryUrl: proxy.url(url), ...fast, ...options });
  return {
    pool,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await pool.drain({ timeoutMs: 200 });
      await proxy.stop();
    },
  };
}

async function timed<T>(work: Promise<T>): Promise<{ error: unknown; value: T | undefined; tookMs: number }> {
  const started = performance.now();
  const outcome = await work.then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error }),
  );
  return { ...outcome, tookMs: performance.now() - started };
}

describe("a network that drops everything", () => {
  test("fails what was sent once the probes go unanswered, and serves again when it mends", async () => {
    await using rig = await behindProxy({ retry: false });
    const { pool, proxy } = rig;
    await pool.start();
    await pool.query("select 1");
    proxy.blackhole();
    const { error, tookMs } = await timed(pool.query("insert into nowhere values (1)"));
    expect(error).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "sent", retryable: false });
    expect((error as Error).cause).toMatchObject({ code: "POOL_SERVER_UNRESPONSIVE" });
    expect(tookMs).toBeLessThan(1_500);
    expect((await timed(pool.query("select 1"))).error).toMatchObject({ code: "POOL_CIRCUIT_OPEN" });
    expect(pool.health().status).toBe("fail");
    proxy.pass();
    await expect.poll(() => pool.health().status, { timeout: 5_000 }).toBe("pass");
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("ends a connect at its deadline", async () => {
    await using rig = await behindProxy({ connectTimeoutMs: 100, probeIntervalMs: false, retry: false });
    rig.proxy.blackhole();
    const { error, tookMs } = await timed(rig.pool.query("select 1"));
    expect(error).toMatchObject({ code: "POOL_CONNECT_TIMEOUT" });
    expect(tookMs).toBeLessThan(1_000);
  });

  test("costs a statement past its bound its connection when the cancel is not confirmed", async () => {
    await using rig = await behindProxy({ probeIntervalMs: false, circuitBreaker: false });
    const { pool, proxy } = rig;
    await pool.query("select 1");
    proxy.blackhole();
    const { error, tookMs } = await timed(pool.query("select 1", [], { timeoutMs: 50 }));
    expect(error).toMatchObject({ code: "POOL_QUERY_TIMEOUT", cancelled: false });
    expect(tookMs).toBeLessThan(1_000);
    expect(pool.totalCount).toBe(0);
  });
});

describe("a connection that is reset", () => {
  test("fails a write that was sent, and repeats a read that says it may be", async () => {
    await using rig = await behindProxy({ retry: { retries: 100, maxDelayMs: 100, budgetReserve: 200 } });
    const { pool, proxy } = rig;
    const cutSoon = async (): Promise<void> => {
      await expect.poll(() => pool.stats().checkedOut).toBe(1);
      proxy.reset();
      await expect.poll(() => pool.stats().checkedOut).toBe(0);
      proxy.pass();
    };
    await pool.query("select 1");
    const [write] = await Promise.all([timed(pool.query("select pg_sleep(1)")), cutSoon()]);
    expect(write.error).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "sent" });
    await expect.poll(() => pool.stats().servers[0]!.state).toBe("up");
    const [read] = await Promise.all([timed(pool.query("select pg_sleep(0.4)", [], { idempotent: true })), cutSoon()]);
    expect(read.error).toBeUndefined();
    expect(pool.stats().retries).toBeGreaterThan(0);
  });

  test("while it commits leaves an outcome nobody knows, and the transaction is not run again", async () => {
    await using rig = await behindProxy({ probeIntervalMs: 30, failoverTimeoutMs: 5_000 });
    const { pool, proxy } = rig;
    await pool.query("create table t (id int)");
    await pool.start();
    const insertAndLoseCommit = (id: number): Promise<void> =>
      pool.withTransaction(async (tx) => {
        await tx.query("insert into t values ($1)", [id]);
        // The server hears COMMIT; its answer never arrives.
        proxy.blackhole("toClient");
        setTimeout(() => (proxy.reset(), setTimeout(() => proxy.pass(), 20)), 100);
      });
    const { error } = await timed(insertAndLoseCommit(1));
    expect(error).toMatchObject({ code: "POOL_TRANSACTION_OUTCOME_UNKNOWN", retryable: false });
    await expect.poll(() => pool.stats().servers[0]!.state).toBe("up");
    expect((await pool.query("select id from t")).rows).toEqual([{ id: 1 }]);
  });
});

describe("a commit whose answer is lost, with resolveOutcome", () => {
  // Holds every COMMIT for a while, so that the connection can be lost in the middle of it.
  const slowCommit = `
    create table t (id int, attempt int);
    create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return null; end';
    create constraint trigger slow after insert on t deferrable initially deferred for each row execute function dawdle()`;

  test("returns once the server says that it committed", async () => {
    await using rig = await behindProxy({ probeIntervalMs: 30, failoverTimeoutMs: 5_000 });
    const { pool, proxy } = rig;
    await pool.query(slowCommit);
    await pool.start();
    const insert = pool.withTransaction(
      async (tx) => {
        await tx.query("insert into t values (1, $1)", [tx.attempt]);
        setTimeout(() => (proxy.reset(), setTimeout(() => proxy.pass(), 20)), 150);
        return tx.attempt;
      },
      { resolveOutcome: true },
    );
    expect(await insert).toBe(1);
    expect((await pool.query("select id, attempt from t")).rows).toEqual([{ id: 1, attempt: 1 }]);
  });

  test("runs again once the server says that it did not", async () => {
    await using rig = await behindProxy({ probeIntervalMs: 30, failoverTimeoutMs: 5_000 });
    const { pool } = rig;
    await pool.query(slowCommit);
    await pool.start();
    await using observer = createPool({ primaryUrl: cluster.primary.url });
    const attempts: number[] = [];
    await pool.withTransaction(
      async (tx) => {
        attempts.push(tx.attempt);
        const { rows } = await tx.query("insert into t values (1, $1) returning pg_backend_pid() as pid", [tx.attempt]);
        if (tx.attempt > 1) return;
        setTimeout(() => void observer.query("select pg_terminate_backend($1)", [rows[0]!["pid"]]), 150);
      },
      { resolveOutcome: true },
    );
    expect(attempts).toEqual([1, 2]);
    expect((await pool.query("select attempt from t")).rows).toEqual([{ attempt: 2 }]);
  });
});

describe("a frozen replica", () => {
  test("loses its reads to the others within a second, and what it held is read again elsewhere", async () => {
    await using pool = createPool({ primaryUrl: cluster.primary.url, replicaUrls: [cluster.replicas[0].url], ...fast });
    await pool.start();
    const port = "select current_setting('port')::int as port";
    await expect.poll(() => pool.stats().servers.map(({ state }) => state)).toEqual(["up", "up"]);
    expect((await pool.replica.query(port)).rows).toEqual([{ port: cluster.replicas[0].port }]);
    await cluster.replicas[0].freeze();
    try {
      const { value, tookMs } = await timed(pool.replica.query(port));
      expect(value?.rows).toEqual([{ port: cluster.primary.port }]);
      expect(tookMs).toBeLessThan(1_000);
    } finally {
      await cluster.replicas[0].thaw();
    }
    await expect.poll(() => pool.stats().servers[1]!.state, { timeout: 5_000 }).toBe("up");
    expect((await pool.replica.query(port)).rows).toEqual([{ port: cluster.replicas[0].port }]);
  });
});

describe("a server that is killed and comes back", () => {
  test("is waited for by statements that were not sent", async () => {
    await using other = await startCluster({ version: 18 });
    await using pool = createPool({
      primaryUrl: other.primary.url,
      probeIntervalMs: 50,
      circuitBreaker: false,
      retry: { retries: 50, maxDelayMs: 100, budgetReserve: 100 },
    });
    await pool.query("create table t (id int)");
    await other.primary.kill();
    const write = pool.query("insert into t values (1) returning id");
    await other.primary.start();
    expect((await write).rows).toEqual([{ id: 1 }]);
  });
});
