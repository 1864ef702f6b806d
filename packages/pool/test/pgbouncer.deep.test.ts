import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { missingForPgBouncer, type PgBouncer, startCluster, startPgBouncer, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Writers } from "./writers.ts";

const missing = await missingForPgBouncer();
if (missing) console.warn(`the tests behind pgbouncer are left out: this machine ${missing}`);

describe.skipIf(missing)("behind pgbouncer in transaction mode", () => {
  let cluster: TestCluster;
  let bouncer: PgBouncer;
  beforeAll(async () => {
    cluster = await startCluster({ version: 18 });
    bouncer = await startPgBouncer(cluster.primary.url);
  });
  afterAll(async () => {
    await bouncer[Symbol.asyncDispose]();
    await cluster.stop();
  });

  async function poolBehind(options: Partial<PoolOptions> = {}): Promise<Pool> {
    const { url } = await cluster.createDatabase();
    return createPool({ primaryUrl: bouncer.url(url), compat: "pgbouncer", max: 20, ...options });
  }

  test("reads share connections and nothing is prepared that another server connection lacks", async () => {
    await using pool = await poolBehind();
    const sql = "select $1::int as n";
    await pool.query(sql, [0]);
    const rows = await Promise.all(Array.from({ length: 500 }, async (_, n) => (await pool.query(sql, [n])).rows[0]));
    expect(rows).toEqual(Array.from({ length: 500 }, (_, n) => ({ n })));
  });

  test("a restart under load loses no acknowledged row and doubles none, and writing goes on by itself", async () => {
    await using pool = await poolBehind({
      probeIntervalMs: 100,
      retry: { retries: 50, maxDelayMs: 200, budgetReserve: 1_000 },
    });
    await pool.query("create table op (id int)");
    const writers = new Writers(pool, "op");
    for (let round = 0; round < 5; round += 1) {
      await writers.resume();
      await bouncer.kill();
      await bouncer.start();
    }
    await writers.resume();
    await writers.stop();
    await writers.check(pool);
    console.info("five restarts of pgbouncer", writers.summary);
    const { acknowledged, failures } = writers.summary;
    expect(acknowledged).toBeGreaterThan(50);
    expect(Object.keys(failures).filter((code) => !/^POOL_(CONNECTION_LOST|CIRCUIT_OPEN)$/.test(code))).toEqual([]);
  });

  test("PAUSE holds a statement no longer than its bound, and RESUME sets everything going again", async () => {
    await using pool = await poolBehind({ probeIntervalMs: false, cancelTimeoutMs: 300 });
    await pool.query("create table op (id int)");
    await bouncer.command("pause");
    try {
      const held = pool.query("insert into op values (1)", [], { timeoutMs: 200 });
      await expect(held).rejects.toMatchObject({ code: "POOL_QUERY_TIMEOUT" });
    } finally {
      await bouncer.command("resume");
    }
    await pool.query("insert into op values (2)");
    expect((await pool.query("select id from op where id = 2")).rows).toEqual([{ id: 2 }]);
    expect(pool.stats().checkedOut).toBe(0);
  });
});
