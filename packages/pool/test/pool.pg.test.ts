import { isDbError, type Queryable, toDatabase } from "@db/core";
import { createPool, Pool, type PoolOptions, type SlowQuery } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool as PgPool } from "pg";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { max_connections: 60 } });
});
afterAll(() => cluster.stop());

async function freshPool(options: Partial<PoolOptions> = {}): Promise<Pool> {
  const { url } = await cluster.createDatabase();
  return createPool({ primaryUrl: url, applicationName: `pool_test_${Math.random()}`, ...options });
}

/** What the servers run now for this pool, seen from outside it. */
async function running(pool: Pool): Promise<string[]> {
  const observer = await cluster.connect();
  try {
    const { rows } = await observer.query<{ query: string }>(
      "select query from pg_stat_activity where application_name = $1 and state <> 'idle'",
      [(pool.options as { applicationName?: string }).applicationName],
    );
    return rows.map(({ query }) => query);
  } finally {
    await observer.end();
  }
}

async function backendPid(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]!.pid;
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

describe("a pool in the place of pg.Pool", () => {
  test("is a pg.Pool and a Database", async () => {
    await using pool = await freshPool();
    expect(pool).toBeInstanceOf(PgPool);
    expect(toDatabase(pool)).toBe(pool);
  });

  test("answers by callback, by promise and by row mode", async () => {
    await using pool = await freshPool();
    const byCallback = await new Promise<pg.QueryResult>((resolve, reject) => {
      pool.query("select $1::int as n", [7], (error: Error | undefined, result) =>
        error ? reject(error) : resolve(result),
      );
    });
    expect(byCallback.rows).toEqual([{ n: 7 }]);
    expect((await pool.query({ text: "select 1, 2", rowMode: "array" })).rows).toEqual([[1, 2]]);
    expect((await pool.query<{ n: number }>({ name: "n", text: "select $1::int as n", values: [3] })).rows[0]?.n).toBe(
      3,
    );
  });

  test("emits pg's events in pg's order", async () => {
    await using pool = await freshPool();
    const seen: string[] = [];
    for (const event of ["connect", "acquire", "remove"] as const) pool.on(event, () => seen.push(event));
    pool.on("release", () => seen.push("release"));
    const client = await pool.connect();
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 0, 0]);
    client.release(true);
    await pool.end();
    expect(seen).toEqual(["connect", "acquire", "release", "remove"]);
  });

  test("shows no password when it is printed or serialised", async () => {
    await using pool = await freshPool();
    const { inspect } = await import("node:util");
    expect(`${inspect(pool)} ${JSON.stringify(pool)}`).not.toContain("postgres:postgres");
  });

  test("refuses a second release and use after end, each with a code", async () => {
    const pool = await freshPool();
    const client = await pool.connect();
    client.release();
    expect(() => client.release()).toThrow(expect.objectContaining({ code: "POOL_DOUBLE_RELEASE" }));
    await pool.end();
    expect(await rejection(pool.query("select 1"))).toMatchObject({ code: "POOL_CLOSED" });
    expect(await rejection(pool.end())).toMatchObject({ code: "POOL_CLOSED" });
  });
});

describe("connections", () => {
  test("survive statements that fail", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table t (id int primary key)");
    await pool.query("insert into t values (1)");
    const before = await backendPid(pool);
    for (let round = 0; round < 20; round += 1) {
      expect(await rejection(pool.query("insert into t values (1)"))).toMatchObject({ code: "23505" });
    }
    expect(await backendPid(pool)).toBe(before);
    expect(pool.stats().servers[0]?.connectionsOpened).toBe(1);
  });

  test("are lent to waiters in turn, and an acquire that waits too long says why", async () => {
    await using pool = await freshPool({ max: 1, leakThresholdMs: 60_000 });
    const client = await pool.connect();
    const error = await rejection(pool.connect({ timeoutMs: 50 }));
    expect(error).toMatchObject({ code: "POOL_ACQUIRE_TIMEOUT", retryable: true });
    expect((error as { facts: object }).facts).toMatchObject({ max: 1, checkedOut: 1, waiting: 1 });
    expect((error as { facts: { oldestStack: string } }).facts.oldestStack).toContain("pool.pg.test.ts");
    client.release();
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("refuse the caller beyond maxWaiting at once", async () => {
    await using pool = await freshPool({ max: 1, maxWaiting: 1 });
    const client = await pool.connect();
    const waiting = pool.query("select 1");
    expect(await rejection(pool.query("select 2"))).toMatchObject({ code: "POOL_SATURATED" });
    client.release();
    await waiting;
  });

  test("that come back inside a transaction are rolled back before anyone else has them", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table t (id int)");
    const client = await pool.connect();
    await client.query("begin");
    await client.query("insert into t values (1)");
    client.release();
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 0 }]);
    expect(pool.stats().leftOpen).toBe(1);
  });

  test("that a server ends while idle are replaced without an error", async () => {
    await using pool = await freshPool({ max: 1 });
    const pid = await backendPid(pool);
    const gone = new Promise((resolve) => pool.once("remove", resolve));
    await using observer = createPool({ primaryUrl: cluster.primary.url });
    await observer.query("select pg_terminate_backend($1)", [pid]);
    await gone;
    expect(await backendPid(pool)).not.toBe(pid);
    expect(pool.stats().idleFailures).toBe(1);
  });

  test("ended in the same moment as a statement is sent lose no statement", async () => {
    await using pool = await freshPool({ max: 4 });
    await pool.query("create table t (id int)");
    const client = await pool.connect();
    const pid = await backendPid(client);
    await using observer = createPool({ primaryUrl: cluster.primary.url });
    await observer.query("select pg_terminate_backend($1)", [pid]);
    // The end of the session is on its way or here; the statement goes out on it all the same.
    client.release();
    await pool.query("insert into t values ($1)", [1]);
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 1 }]);
  });

  test("are opened up to min by start() and kept there", async () => {
    await using pool = await freshPool({ min: 3, idleTimeoutMs: 10 });
    await pool.start();
    expect([pool.totalCount, pool.idleCount]).toEqual([3, 3]);
    const client = await pool.connect();
    client.release(true);
    await expect.poll(() => pool.idleCount).toBe(3);
  });

  test("are all replaced by retireConnections, lent ones when they come back", async () => {
    await using pool = await freshPool({ max: 1 });
    const client = await pool.connect();
    const before = await backendPid(client);
    pool.retireConnections();
    client.release();
    expect(await backendPid(pool)).not.toBe(before);
  });

  test("serve a spike from those that return rather than from new ones", async () => {
    await using pool = await freshPool({ max: 50, min: 5 });
    await pool.start();
    await Promise.all(Array.from({ length: 50 }, () => pool.query("select pg_sleep(0.002)")));
    expect(pool.stats().servers[0]!.connectionsOpened).toBeLessThanOrEqual(15);
  });
});

describe("a statement past its bound", () => {
  test("is cancelled on the server and its connection stays", async () => {
    await using pool = await freshPool({ max: 1 });
    const pid = await backendPid(pool);
    const error = await rejection(pool.query("select pg_sleep(30)", [], { timeoutMs: 50 }));
    expect(error).toMatchObject({ code: "POOL_QUERY_TIMEOUT", timeoutMs: 50, cancelled: true });
    await expect.poll(() => running(pool)).toEqual([]);
    expect(await backendPid(pool)).toBe(pid);
  });

  test("is cancelled when its signal fires", async () => {
    await using pool = await freshPool({ max: 1 });
    const controller = new AbortController();
    const sleeping = pool.query("select pg_sleep(30)", [], { signal: controller.signal });
    await expect.poll(() => running(pool)).toHaveLength(1);
    controller.abort(new Error("the user left"));
    const error = await rejection(sleeping);
    expect(isDbError(error, "CORE_ABORTED")).toBe(true);
    expect((error as Error).cause).toMatchObject({ message: "the user left" });
    await expect.poll(() => running(pool)).toEqual([]);
  });

  test("leaves the queue when its signal fires before it had a connection", async () => {
    await using pool = await freshPool({ max: 1 });
    const client = await pool.connect();
    const controller = new AbortController();
    const queued = pool.query("select 1", [], { signal: controller.signal });
    controller.abort();
    expect(await rejection(queued)).toMatchObject({ code: "CORE_ABORTED" });
    expect(pool.waitingCount).toBe(0);
    client.release();
  });

  test("takes the pool's own bound where it names none", async () => {
    await using pool = await freshPool({ queryTimeoutMs: 40 });
    expect(await rejection(pool.query("select pg_sleep(30)"))).toMatchObject({ code: "POOL_QUERY_TIMEOUT" });
    await pool.query("select pg_sleep(0.1)", [], { timeoutMs: false });
  });
});

describe("withTransaction", () => {
  test("commits what returns and rolls back what throws", async () => {
    await using pool = await freshPool();
    await pool.query("create table t (id int)");
    expect(await pool.withTransaction(async (tx) => (await tx.query("insert into t values (1)")).rowCount)).toBe(1);
    const failed = pool.withTransaction(async (tx) => {
      await tx.query("insert into t values (2)");
      throw new Error("not this one");
    });
    await expect(failed).rejects.toThrow("not this one");
    expect((await pool.query("select id from t")).rows).toEqual([{ id: 1 }]);
  });

  test("undoes only the savepoint that failed", async () => {
    await using pool = await freshPool();
    await pool.query("create table t (id int primary key)");
    await pool.withTransaction(async (tx) => {
      await tx.query("insert into t values (1)");
      expect(await rejection(tx.savepoint((inner) => inner.query("insert into t values (1)")))).toMatchObject({
        code: "23505",
      });
      await toDatabase(tx).withTransaction((inner) => inner.query("insert into t values (2)"));
    });
    expect((await pool.query("select id from t order by id")).rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test("says so when a swallowed error turned COMMIT into ROLLBACK", async () => {
    await using pool = await freshPool();
    const error = await rejection(pool.withTransaction((tx) => tx.query("select 1/0").catch(() => undefined)));
    expect(error).toMatchObject({ code: "POOL_TRANSACTION_ROLLED_BACK" });
  });

  test("has the isolation, mode and settings it was asked for, and leaves none behind", async () => {
    await using pool = await freshPool({ max: 1 });
    const sql = `select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as
      "readOnly", current_setting('transaction_deferrable') as deferrable, current_setting('app.tenant', true) as tenant`;
    const options = {
      isolation: "serializable",
      readOnly: true,
      deferrable: true,
      settings: { "app.tenant": "o'42" },
    } as const;
    const { rows } = await pool.withTransaction((tx) => tx.query(sql), options);
    expect(rows).toEqual([{ isolation: "serializable", readOnly: "on", deferrable: "on", tenant: "o'42" }]);
    expect((await pool.query("select current_setting('app.tenant', true) as tenant")).rows).toEqual([{ tenant: "" }]);
  });

  test("runs again after a serialization failure", async () => {
    await using pool = await freshPool();
    await pool.query("create table account (id int primary key, amount int)");
    await pool.query("insert into account values (1, 0), (2, 0)");
    const attempts: number[] = [];
    const both = Promise.withResolvers<void>();
    let readers = 0;
    const work = (to: number) =>
      pool.withTransaction(
        async (tx) => {
          attempts.push(tx.attempt);
          await tx.query("select sum(amount) from account");
          if ((readers += 1) === 2) both.resolve();
          await both.promise;
          await tx.query("update account set amount = amount + 1 where id = $1", [to]);
        },
        { isolation: "serializable" },
      );
    await Promise.all([work(1), work(2)]);
    expect((await pool.query("select sum(amount)::int as sum from account")).rows).toEqual([{ sum: 2 }]);
    expect(attempts.toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
  });

  test("is cancelled and rolled back at its bound", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table t (id int)");
    const slow = pool.withTransaction(
      async (tx) => {
        await tx.query("insert into t values (1)");
        await tx.query("select pg_sleep(30)");
      },
      { timeoutMs: 60 },
    );
    expect(await rejection(slow)).toMatchObject({ code: "CORE_ABORTED" });
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 0 }]);
  });

  test("refuses a handle kept beyond its callback", async () => {
    await using pool = await freshPool();
    const tx = await pool.withTransaction(async (inner) => inner);
    expect(await rejection(tx.query("select 1"))).toMatchObject({ code: "POOL_SESSION_ENDED" });
  });
});

describe("withSession", () => {
  test("keeps one connection and leaves nothing of it behind", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.withSession(async (session) => {
      await session.query("set work_mem = '7MB'");
      await session.query("select pg_advisory_lock(42)");
      await session.query({ name: "kept", text: "select $1::int", values: [1] });
      expect((await session.query("show work_mem")).rows).toEqual([{ work_mem: "7MB" }]);
    });
    expect((await pool.query("show work_mem")).rows).toEqual([{ work_mem: "4MB" }]);
    expect((await pool.query("select count(*)::int as n from pg_locks where locktype = 'advisory'")).rows).toEqual([
      { n: 0 },
    ]);
    expect((await pool.query({ name: "kept", text: "select $1::int as n", values: [2] })).rows).toEqual([{ n: 2 }]);
    expect(pool.stats().servers[0]?.connectionsOpened).toBe(1);
  });
});

describe("reports", () => {
  test("name the borrower that holds a connection too long", async () => {
    await using pool = await freshPool({ leakThresholdMs: 20 });
    const leaked = new Promise<{ stack?: string | undefined }>((resolve) => pool.on("leak", resolve));
    const client = await pool.connect();
    expect((await leaked).stack).toContain("pool.pg.test.ts");
    expect(pool.leaks()).toHaveLength(1);
    client.release();
    expect([pool.leaks(), pool.stats().leaks]).toEqual([[], 1]);
  });

  test("show slow statements without their literals", async () => {
    await using pool = await freshPool({ slowQueryThresholdMs: 20 });
    const slow = new Promise<SlowQuery>((resolve) => pool.on("slow-query", resolve));
    await pool.query("select pg_sleep(0.03), 'secret' as text");
    expect(await slow).toMatchObject({ statement: "select pg_sleep(?), ? as text", failed: false });
  });

  test("tell health from what is known, within a millisecond or so", async () => {
    await using pool = await freshPool({ probeIntervalMs: 20 });
    await pool.start();
    const started = performance.now();
    const health = pool.health();
    expect(performance.now() - started).toBeLessThan(5);
    expect(health.status).toBe("pass");
    expect(health.checks.map(({ name }) => name)).toEqual(["primary:reachable", "connections:utilization"]);
  });
});

describe("credentials", () => {
  test("are asked for again when the server refuses them, as after a rotation", async () => {
    const url = new URL((await cluster.createDatabase()).url);
    url.password = "";
    const passwords = ["outdated", "postgres"];
    await using pool = createPool({
      primaryUrl: url.href,
      password: async () => passwords.shift() ?? "postgres",
      max: 1,
    });
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(passwords).toEqual([]);
  });

  test("that stay wrong fail at once with the server's code, and none of them is told", async () => {
    const url = new URL((await cluster.createDatabase()).url);
    url.password = "topsecret";
    await using pool = createPool({ primaryUrl: url.href });
    const error = await rejection(pool.query("select 1"));
    expect(error).toMatchObject({ code: "28P01" });
    expect((error as Error).message).not.toContain("topsecret");
  });
});

describe("drain", () => {
  test("lets those who work and wait finish, and lends no more", async () => {
    const pool = await freshPool({ max: 1 });
    const works = [pool.query("select pg_sleep(0.05)"), pool.query("select 2 as two")];
    const drained = pool.drain({ timeoutMs: 5_000 });
    expect(await rejection(pool.query("select 3"))).toMatchObject({ code: "POOL_CLOSED" });
    expect((await Promise.all(works))[1]!.rows).toEqual([{ two: 2 }]);
    expect((await drained).cutOff).toEqual([]);
    expect(pool.ended).toBe(true);
  });

  test("cancels on the server what outlasts its bound, and names it", async () => {
    const pool = await freshPool();
    const sleeping = rejection(pool.query("select pg_sleep(30)"));
    const client = await pool.connect();
    await expect.poll(() => running(pool)).toHaveLength(1);
    const report = await pool.drain({ timeoutMs: 30 });
    expect(report.cutOff).toHaveLength(2);
    expect(await sleeping).toBeInstanceOf(Error);
    await expect.poll(() => running(pool)).toEqual([]);
    client.release();
  });
});
