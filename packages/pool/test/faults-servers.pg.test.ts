import dns from "node:dns";
import { type ConnectionLostError, createPool, type LostConnection, type PoolOptions } from "@db/pool";
import { startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

const patient: Partial<PoolOptions> = {
  probeIntervalMs: 50,
  circuitBreaker: false,
  retry: { retries: 200, maxDelayMs: 100, budgetReserve: 500 },
};
const waiting = { timeout: 20_000 };

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

/** The process that runs a statement, once it does. */
async function runnerOf(of: Pick<TestCluster, "connect">, statement: string): Promise<number> {
  const observer = await of.connect();
  const sql = "select pid from pg_stat_activity where query like $1 and state = 'active' and pid <> pg_backend_pid()";
  let pid: number | undefined;
  try {
    await expect
      .poll(async () => (pid = (await observer.query<{ pid: number }>(sql, [`%${statement}%`])).rows[0]?.pid), waiting)
      .toBeTypeOf("number");
  } finally {
    await observer.end();
  }
  return pid!;
}

describe("a backend killed by SIGKILL in a statement, which makes the whole server recover", () => {
  test("fails a write as sent, and repeats a read once the server is back", async () => {
    await using own = await startCluster({ version: 18 });
    await using pool = createPool({ primaryUrl: own.primary.url, max: 4, ...patient });
    await pool.query("create table t (id int)");
    const write = rejection(pool.query("insert into t select 1 from pg_sleep(60)"));
    const beside = rejection(pool.query("insert into t select 2 from pg_sleep(60)"));
    const read = pool.query("select 42 as answer from pg_sleep(0.2 + $1::int)", [0], { idempotent: true });
    await runnerOf(own, "insert into t select 2");
    process.kill(await runnerOf(own, "insert into t select 1"), "SIGKILL");
    expect(await write).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "sent", retryable: false });
    // The server tells the others why it ends them too, where its word still gets through; what they had begun may have
    // been done.
    expect(["57P02", "POOL_CONNECTION_LOST"]).toContain(((await beside) as { code: string }).code);
    expect((await read).rows).toEqual([{ answer: 42 }]);
    expect((await pool.query("select count(*)::int as n from t", [], { idempotent: true })).rows).toEqual([{ n: 0 }]);
  });
});

describe("a primary killed by SIGKILL", () => {
  test("opens its circuit; reads go to the replica, and writes fail at once where they were told not to wait", async () => {
    await using own = await startCluster({ version: 18, replicas: 1 });
    await using pool = createPool({
      primaryUrl: own.primary.url,
      replicaUrls: [own.replicas[0].url],
      ...patient,
      circuitBreaker: {},
      failoverTimeoutMs: false,
    });
    await pool.start();
    await own.primary.kill();
    await expect.poll(() => pool.stats().servers[0]!.state, waiting).toBe("down");
    expect((await pool.replica.query("select pg_is_in_recovery() as standby")).rows).toEqual([{ standby: true }]);
    const error = await rejection(pool.query("create table t ()"));
    expect(["POOL_NO_PRIMARY", "POOL_CIRCUIT_OPEN"]).toContain((error as { code: string }).code);
    expect(pool.stats().servers[0]!.breaker).toBe("open");
  });
});

describe("a frozen backend of a server that is well", () => {
  test("costs its own statement its connection at its bound, and nobody else anything", async () => {
    const { url } = await cluster.createDatabase();
    await using pool = createPool({ primaryUrl: url, max: 2, cancelTimeoutMs: 200, probeIntervalMs: 50, retry: false });
    const frozen = rejection(pool.query("select 'frozen' from pg_sleep(60)", [], { timeoutMs: 3_000 }));
    const pid = await runnerOf(cluster, "select 'frozen'");
    process.kill(pid, "SIGSTOP");
    try {
      expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
      expect(await frozen).toMatchObject({ code: "POOL_QUERY_TIMEOUT", cancelled: false });
      expect(pool.stats().servers[0]!.state).toBe("up");
      expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });
});

describe("a name server that does not answer", () => {
  test("ends a connect at its deadline, and its late answer opens nothing", async () => {
    const { url } = await cluster.createDatabase();
    await using proxy = await startFaultProxy({ target: url });
    const asked: ((error: null, address: string | dns.LookupAddress[], family: number) => void)[] = [];
    const real = dns.lookup;
    const lookup = vi.spyOn(dns, "lookup").mockImplementation(((name: string, options: object, answer: never) => {
      if (name === "slow.example") asked.push(answer);
      else real(name, options, answer);
    }) as never);
    try {
      const slow = new URL(proxy.url(url));
      slow.hostname = "slow.example";
      await using pool = createPool({
        primaryUrl: slow.href,
        connectTimeoutMs: 100,
        probeIntervalMs: false,
        retry: false,
      });
      expect(await rejection(pool.query("select 1"))).toMatchObject({ code: "POOL_CONNECT_TIMEOUT" });
      expect(asked.length).toBeGreaterThan(0);
      for (const answer of asked) answer(null, [{ address: "127.0.0.1", family: 4 }], 4);
      // Whoever connects now comes after the late answer.
      await using quick = createPool({ primaryUrl: proxy.url(url), probeIntervalMs: false });
      await quick.query("select 1");
      expect(proxy.accepted).toBe(1);
      expect(pool.totalCount).toBe(0);
    } finally {
      lookup.mockRestore();
    }
  });
});

describe("a name server that fails", () => {
  const fails = (code: string) => (_name: string, _options: object, answer: (error: Error) => void) =>
    queueMicrotask(() => answer(Object.assign(new Error(`getaddrinfo ${code} db.example`), { code })));
  const silent = (): void => undefined;

  test.each([
    { fault: "says to try again", how: fails("EAI_AGAIN"), found: true },
    { fault: "keeps silent", how: silent, found: true },
    { fault: "says that the name is gone", how: fails("ENOTFOUND"), found: false },
  ])("and $fault leaves a name with its last address: $found", async ({ how, found }) => {
    const url = new URL((await cluster.createDatabase()).url);
    url.hostname = "db.example";
    const real = dns.lookup;
    let away = false;
    const lookup = vi.spyOn(dns, "lookup").mockImplementation(((name: string, options: object, answer: never) => {
      if (name !== "db.example") return real(name, options, answer);
      return away ? how(name, options, answer) : real("127.0.0.1", options, answer);
    }) as never);
    try {
      await using pool = createPool({
        primaryUrl: url.href,
        probeIntervalMs: false,
        retry: false,
        acquireTimeoutMs: found ? 60_000 : 300,
      });
      // The one connection there is is taken, so another has to be made.
      const held = await pool.connect();
      away = true;
      const made = pool.connect();
      if (found) (await made).release();
      else await expect(made).rejects.toBeInstanceOf(Error);
      held.release();
    } finally {
      lookup.mockRestore();
    }
  });
});

describe("an old primary that became read-only", () => {
  test("costs a write nothing: it refused, so the write goes to the new primary", async () => {
    await using own = await startCluster({ version: 18, replicas: 1 });
    await using pool = createPool({
      primaryUrl: own.primary.url,
      replicaUrls: [own.replicas[0].url],
      probeIntervalMs: 600_000,
      retry: { retries: 50, maxDelayMs: 100 },
    });
    await pool.start();
    await pool.query("create table t (id int)");
    const old = await own.primary.connect();
    const replica = await own.replicas[0].connect();
    const { rows } = await old.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
    const caughtUp = "select pg_last_wal_replay_lsn() >= $1::pg_lsn as yes";
    await expect
      .poll(async () => (await replica.query(caughtUp, [rows[0]!.lsn])).rows, waiting)
      .toEqual([{ yes: true }]);
    await own.replicas[0].promote();
    await own.primary.reconfigure({ default_transaction_read_only: "on" });
    await expect
      .poll(async () => (await old.query("show default_transaction_read_only")).rows, waiting)
      .toEqual([{ default_transaction_read_only: "on" }]);
    await pool.query("insert into t values ($1)", [1]);
    expect((await replica.query("select id from t")).rows).toEqual([{ id: 1 }]);
    expect(pool.stats().servers.map(({ state }) => state)).toEqual(["refused", "up"]);
    await Promise.all([old.end(), replica.end()]);
  });
});

describe("a server that is full", () => {
  test("is served from the connections there are", async () => {
    await using own = await startCluster({
      version: 18,
      settings: { max_connections: 6, superuser_reserved_connections: 0 },
    });
    await using pool = createPool({ primaryUrl: own.primary.url, max: 20, ...patient, probeIntervalMs: false });
    await pool.query("select 1");
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => pool.query("select $1::int as n from pg_sleep(0.01)", [n])),
    );
    expect(answers.map(({ rows }) => (rows[0] as { n: number }).n)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(pool.stats().servers[0]!.connectionsFailed).toBeGreaterThan(0);
    expect(pool.totalCount).toBeLessThanOrEqual(6);
  });
});

describe("a session the server ends for its time-outs", () => {
  async function limitedPool(limit: string, options: Partial<PoolOptions> = {}) {
    const { url, name } = await cluster.createDatabase();
    const admin = await cluster.connect();
    await admin.query(`alter database ${name} set ${limit}`);
    await admin.end();
    return createPool({ primaryUrl: url, max: 1, leakThresholdMs: 600_000, probeIntervalMs: false, ...options });
  }

  test("in an idle transaction is told of with the stack of its borrower, who gets the server's reason", async () => {
    await using pool = await limitedPool("idle_in_transaction_session_timeout = '50ms'");
    const lost = new Promise<LostConnection>((resolve) => pool.on("connection-lost", resolve));
    const error = await rejection(
      pool.withTransaction(
        async (tx) => {
          await tx.query("select 1");
          await lost;
          await tx.query("select 2");
        },
        { retries: 0 },
      ),
    );
    expect(error).toMatchObject({ code: "POOL_CONNECTION_LOST", cause: { code: "25P03" } });
    expect(await lost).toMatchObject({ sqlState: "25P03", lastStatement: "select ?" });
    expect((await lost).stack).toContain("faults-servers.pg.test.ts");
  });

  test("while idle in the pool is replaced without anybody noticing", async () => {
    await using pool = await limitedPool("idle_session_timeout = '50ms'");
    const gone = new Promise((resolve) => pool.on("remove", resolve));
    await pool.query("select 1");
    await gone;
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(pool.stats().idleFailures).toBe(1);
  });

  test("for a transaction that takes too long does not run its callback again", async () => {
    await using pool = await limitedPool("transaction_timeout = '100ms'");
    const lost = new Promise((resolve) => pool.on("connection-lost", resolve));
    let attempts = 0;
    const error = await rejection(
      pool.withTransaction(async (tx) => {
        attempts += 1;
        await tx.query("select 1");
        await lost;
        await tx.query("select 2");
      }),
    );
    expect((error as ConnectionLostError).cause).toMatchObject({ code: "25P04" });
    expect(attempts).toBe(1);
  });
});

describe("connections that are all lost at once", () => {
  test("are opened again a few at a time", async () => {
    const { url } = await cluster.createDatabase();
    await using proxy = await startFaultProxy({ target: url });
    await using pool = createPool({ primaryUrl: proxy.url(url), max: 20, min: 20, connectConcurrency: 2, ...patient });
    await pool.start();
    expect(pool.totalCount).toBe(20);
    let most = 0;
    let done = false;
    const watch = (): void => {
      most = Math.max(most, pool.stats().connecting);
      if (!done) setImmediate(watch);
    };
    proxy.reset();
    await expect.poll(() => pool.idleCount, waiting).toBe(0);
    proxy.pass();
    watch();
    await Promise.all(Array.from({ length: 100 }, (_, n) => pool.query("select $1::int from pg_sleep(0.01)", [n])));
    done = true;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4);
  });
});
