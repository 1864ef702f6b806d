import { createPool, type LostConnection, Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// What the test suites of pg, Kysely and Drizzle rely on, and ours would not notice.
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

async function freshUrl(): Promise<string> {
  return (await cluster.createDatabase()).url;
}

describe("a statement the pool prepared by itself", () => {
  const insert = "insert into visit (at) values ($1)";
  const withZone = "2022-01-01 00:00:00-02";

  test("takes the type its column has now, after the column changed", async () => {
    await using pool = createPool({ primaryUrl: await freshUrl(), max: 1 });
    await pool.query("create table visit (at timestamp)");
    for (let n = 0; n < 3; n += 1) await pool.query(insert, ["2022-01-01"]);
    await pool.query("drop table visit");
    await pool.query("create table visit (at timestamptz)");
    await pool.query(insert, [withZone]);
    const { rows } = await pool.query("select at at time zone 'utc' = '2022-01-01 02:00' as right from visit");
    expect(rows).toEqual([{ right: true }]);
  });

  test("does so too when the change was made in a transaction, on another connection", async () => {
    await using pool = createPool({ primaryUrl: await freshUrl(), max: 2 });
    await pool.query("create table visit (at timestamp)");
    for (let n = 0; n < 3; n += 1) await pool.query(insert, ["2022-01-01"]);
    const client = await pool.connect();
    await client.query("begin");
    await client.query("delete from visit");
    await client.query("alter table visit alter at type timestamptz");
    await client.query("commit");
    await pool.query(insert, [withZone]);
    client.release();
    const { rows } = await pool.query("select at at time zone 'utc' = '2022-01-01 02:00' as right from visit");
    expect(rows).toEqual([{ right: true }]);
  });
});

describe("a pool made with pg's names", () => {
  test("says that nothing became free in pg's words, and the facts beside them", async () => {
    const pool = new Pool({ connectionString: await freshUrl(), max: 1, connectionTimeoutMillis: 60_000 });
    const client = await pool.connect();
    const error = await pool.connect({ timeoutMs: 50 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: "timeout exceeded when trying to connect", code: "POOL_ACQUIRE_TIMEOUT" });
    expect((error as { hint: string }).hint).toContain("1/1 checked out");
    client.release();
    await pool.end();
  });

  test("lends clients that send ahead when it is told to, and runs its own statements as ever", async () => {
    const pool = new Pool({ connectionString: await freshUrl(), max: 1, pipeline: true });
    const client = await pool.connect();
    expect((client as { pipeline?: boolean }).pipeline).toBe(true);
    const answers = await Promise.all([1, 2, 3].map((n) => client.query("select $1::int as n", [n])));
    expect(answers.map(({ rows }) => rows[0])).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    client.release();
    const streamed: unknown[] = [];
    for await (const row of pool.stream("select n from generate_series(1, 3) n")) streamed.push(row);
    expect(streamed).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    await pool.end();
  });
});

describe("statements that share connections", () => {
  test("are told of by acquire and release, one by one", async () => {
    await using pool = createPool({ primaryUrl: await freshUrl(), max: 4 });
    const read = "select $1::int as n";
    await pool.query(read, [0]);
    const seen = { acquire: 0, release: 0 };
    pool.on("acquire", () => (seen.acquire += 1));
    pool.on("release", () => (seen.release += 1));
    await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query(read, [n])));
    expect(seen).toEqual({ acquire: 20, release: 20 });
    expect(pool.totalCount).toBeLessThan(5);
  });
});

describe("a connection that ends in the hands of its borrower", () => {
  test("is told of with the borrower's stack, and to pg's error event unless the borrower listens", async () => {
    await using pool = createPool({ primaryUrl: await freshUrl(), leakThresholdMs: 60_000 });
    const errors: Error[] = [];
    pool.on("error", (error: Error) => errors.push(error));
    const loseOne = async (listen: boolean): Promise<LostConnection> => {
      const lost = new Promise<LostConnection>((resolve) => pool.on("connection-lost", resolve));
      const client = await pool.connect();
      if (listen) client.on("error", () => undefined);
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      const observer = await cluster.connect();
      await observer.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
      await observer.end();
      const report = await lost;
      client.release();
      return report;
    };
    const report = await loseOne(false);
    expect(report).toMatchObject({ sqlState: "57P01", lastStatement: undefined });
    expect(report.stack).toContain("drop-in.pg.test.ts");
    expect(errors.map((error) => (error as pg.DatabaseError).code)).toEqual(["57P01"]);
    errors.length = 0;
    await loseOne(true);
    expect(errors).toEqual([]);
    expect(pool.totalCount).toBe(0);
  });
});
