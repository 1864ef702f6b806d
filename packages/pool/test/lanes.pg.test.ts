import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKnown } from "./known.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { max_connections: 60 } });
});
afterAll(() => cluster.stop());

const rowOf = "select id, name from account where id = $1";

async function accounts(options: Partial<PoolOptions> = {}): Promise<Pool> {
  const { url } = await cluster.createDatabase();
  const pool = createPool({ primaryUrl: url, probeIntervalMs: false, ...options });
  await pool.query("create table account (id int primary key, name text)");
  await pool.query("insert into account select id, 'name ' || id from generate_series(1, 200) id");
  // From its second use on a statement is known; a third makes up for a slow first on a busy machine.
  for (let use = 0; use < 3; use += 1) await pool.query(rowOf, [1]);
  return pool;
}

function readAll(pool: Pool, count: number): Promise<unknown[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => (await pool.query(rowOf, [index + 1])).rows[0] as unknown),
  );
}

function expectedRows(count: number): unknown[] {
  return Array.from({ length: count }, (_, index) => ({ id: index + 1, name: `name ${index + 1}` }));
}

async function preparedOn(pool: Pool): Promise<string[]> {
  const { rows } = await pool.withTransaction((tx) =>
    tx.query<{ statement: string }>("select statement from pg_prepared_statements order by prepare_time"),
  );
  return rows.map(({ statement }) => statement);
}

describe("reads outside of transactions", () => {
  test("share a few connections, each with the rows it asked for", async () => {
    await using pool = await accounts();
    await makeKnown(pool, rowOf, [1]);
    // As many as one of them takes.
    const reading = readAll(pool, 32);
    await new Promise((resolve) => setImmediate(resolve));
    const { checkedOut, waiting } = pool.stats();
    expect(checkedOut + waiting).toBeLessThanOrEqual(4);
    expect(await reading).toEqual(expectedRows(32));
    await expect.poll(() => pool.stats()).toMatchObject({ checkedOut: 0, waiting: 0 });
  });

  test("have a connection each without pipelining", async () => {
    await using pool = await accounts({ pipeline: false });
    const reading = readAll(pool, 100);
    await new Promise((resolve) => setImmediate(resolve));
    expect(pool.stats().waiting).toBeGreaterThan(80);
    expect(await reading).toEqual(expectedRows(100));
  });

  test("that fail cost those beside them nothing", async () => {
    await using pool = await accounts();
    const divide = "select 12 / $1::int as quotient";
    await pool.query(divide, [1]);
    const outcomes = await Promise.allSettled([3, 0, 4, 0, 6].map((by) => pool.query(divide, [by])));
    const answers = outcomes.map((outcome) =>
      outcome.status === "fulfilled"
        ? (outcome.value.rows[0] as { quotient: number }).quotient
        : (outcome.reason as { code: string }).code,
    );
    expect(answers).toEqual([4, "22012", 3, "22012", 2]);
    // One more may just have been opened for those who come later.
    await expect.poll(() => pool.stats().checkedOut).toBe(0);
    expect(pool.stats().servers[0]!.connectionsClosed).toBe(0);
  });

  test("with a value that cannot be sent fail alone", async () => {
    await using pool = await accounts();
    const unsendable = {
      toPostgres: () => {
        throw new RangeError("no such value");
      },
    };
    const outcomes = await Promise.allSettled([1, unsendable, 2].map((id) => pool.query(rowOf, [id])));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((outcomes[1] as PromiseRejectedResult).reason).toBeInstanceOf(RangeError);
    expect(await readAll(pool, 10)).toEqual(expectedRows(10));
  });

  test("wait for no slow one, which has a connection to itself once it is known to be slow", async () => {
    await using pool = await accounts({ min: 6 });
    await pool.start();
    await pool.query(`create function doze() returns int language plpgsql as
      'begin perform pg_sleep(0.1), pg_advisory_xact_lock_shared(7); return 1; end'`);
    const slow = "select $1::int as n, doze()";
    await pool.query(slow, [1]);
    // From here on it takes until the lock is free.
    const holder = await pool.connect();
    await holder.query("select pg_advisory_lock(7)");
    const order: string[] = [];
    const dawdling = Array.from({ length: 3 }, () => pool.query(slow, [1]).then(() => order.push("slow")));
    expect(await readAll(pool, 50)).toEqual(expectedRows(50));
    order.push("fast");
    holder.release(true);
    await Promise.all(dawdling);
    expect(order[0]).toBe("fast");
  });

  test("are read again when the server ends their connection, since those behind the first never began", async () => {
    await using pool = await accounts({ max: 2 });
    const { rows } = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");
    const observer = await cluster.connect();
    const reading = readAll(pool, 60);
    await observer.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
    expect(await reading).toEqual(expectedRows(60));
    expect(await readAll(pool, 30)).toEqual(expectedRows(30));
    await expect.poll(() => pool.stats().servers[0]).toMatchObject({ breaker: "closed", checkedOut: 0 });
    await observer.end();
  });

  test("under way are finished by a drain", async () => {
    const pool = await accounts();
    await readAll(pool, 4);
    const reading = readAll(pool, 40);
    const [rows, report] = await Promise.all([reading, pool.drain({ timeoutMs: 5_000 })]);
    expect(rows).toEqual(expectedRows(40));
    expect(report.cutOff).toEqual([]);
    await expect(pool.query(rowOf, [1])).rejects.toMatchObject({ code: "POOL_CLOSED" });
  });

  test("are reached by neither a session's settings nor a transaction under way", async () => {
    await using pool = await accounts({ max: 4 });
    await pool.withTransaction(async (tx) => {
      await tx.query("update account set name = 'changed' where id = 1");
      expect(await readAll(pool, 3)).toEqual(expectedRows(3));
    });
    expect((await pool.query(rowOf, [1])).rows).toEqual([{ id: 1, name: "changed" }]);
  });
});

describe("statements used again", () => {
  test("are prepared from their second use on, writes too", async () => {
    await using pool = await accounts({ max: 1 });
    const write = "update account set name = name where id = $1";
    await pool.query(write, [1]);
    expect(await preparedOn(pool)).toEqual([rowOf]);
    await pool.query(write, [1]);
    expect(await preparedOn(pool)).toEqual([rowOf, write]);
  });

  test("push out the least recently used one", async () => {
    await using pool = await accounts({ max: 1, prepare: { maxPerConnection: 2 } });
    const texts = ["select 1 as a", "select 2 as a", "select 3 as a"];
    for (const text of [...texts, ...texts]) await pool.query(text);
    expect(await preparedOn(pool)).toEqual(texts.slice(1));
    expect((await pool.query(texts[0]!)).rows).toEqual([{ a: 1 }]);
  });

  test.each([{ prepare: false }, { compat: "pgbouncer" }, { compat: "supavisor" }] as const)(
    "are not prepared with %o",
    async (options) => {
      await using pool = await accounts({ max: 1, ...options });
      for (let use = 0; use < 3; use += 1) await pool.query(rowOf, [1]);
      expect(await preparedOn(pool)).toEqual([]);
    },
  );

  test.each([1, 4])("read a table that changed, with %i connections, and keep them", async (max) => {
    await using pool = await accounts({ max, retry: false });
    const all = "select * from account where id = $1";
    for (let use = 0; use < 3; use += 1) await pool.query(all, [1]);
    await pool.query("alter table account add column score int default 7");
    const rows = await Promise.all([1, 1, 1].map(async (id) => (await pool.query(all, [id])).rows[0] as unknown));
    expect(rows).toEqual(Array.from({ length: 3 }, () => ({ id: 1, name: "name 1", score: 7 })));
    expect(pool.stats().servers[0]!.connectionsClosed).toBe(0);
  });

  test.each([1, 4])("survive a borrower who deallocates them, with %i connections", async (max) => {
    await using pool = await accounts({ max, retry: false });
    const write = "insert into account (id) values ($1)";
    for (let id = 1_001; id < 1_004; id += 1) await pool.query(write, [id]);
    for (let use = 0; use < 3; use += 1) await pool.query(rowOf, [1]);
    const client = await pool.connect();
    await client.query("deallocate all");
    client.release();
    await pool.query(write, [1_004]);
    expect((await pool.query(rowOf, [1])).rows).toEqual([{ id: 1, name: "name 1" }]);
    expect((await pool.query("select count(*)::int as n from account where id > 1000")).rows).toEqual([{ n: 4 }]);
  });
});
