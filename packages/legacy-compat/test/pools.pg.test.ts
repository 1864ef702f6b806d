import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  AdvancedPoolConfig,
  CircuitBreaker,
  closeConnectionManager,
  EnhancedPool,
  getConnectionManager,
  MonitoredPool,
  readDb,
  UnifiedConnectionManager,
  UnifiedHealthMonitor,
  writeDb,
} from "@db/legacy-compat/chanuka";
import { startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { sql } from "drizzle-orm";
import { pgTable, serial, text } from "drizzle-orm/pg-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  useEnvironment(environmentOf(cluster));
});
afterEach(() => closeConnectionManager());
afterAll(() => cluster?.stop());

describe("EnhancedPool", () => {
  test("is a pg pool of the environment, with metrics, health and a circuit", async () => {
    const pool = new EnhancedPool();
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(await pool.healthCheck()).toMatchObject({ healthy: true, circuitBreakerState: "CLOSED" });
    expect(pool.getMetrics()).toMatchObject({ totalQueries: 2, failedQueries: 0, circuitBreakerState: "CLOSED" });
    await pool.shutdown();
    expect(await pool.healthCheck()).toMatchObject({ healthy: false, error: expect.any(String) as string });
  });

  test("has the bounds that the variables set", async () => {
    process.env["DB_CONNECTION_LIMIT"] = "3";
    const pool = new EnhancedPool();
    delete process.env["DB_CONNECTION_LIMIT"];
    expect(pool.stats().max).toBe(3);
    await pool.shutdown();
  });

  test("opens its circuit when the server is gone", async () => {
    const pool = new EnhancedPool({ connectionString: "postgres://a:b@127.0.0.1:1/a" });
    while (pool.getCircuitBreakerState() !== "OPEN") await pool.query("select 1").catch(() => undefined);
    expect((await pool.healthCheck()).error).toMatch(/circuit/);
    await pool.shutdown();
  });
});

describe("CircuitBreaker", () => {
  test("opens after failures in a row, runs nothing then, and closes again", async () => {
    const breaker = new CircuitBreaker({ failureThreshold: 2, successThreshold: 1, resetTimeout: 1 });
    const fail = (): Promise<never> => Promise.reject(new Error("down"));
    for (let i = 0; i < 2; i += 1) await expect(breaker.execute(fail)).rejects.toThrow("down");
    expect(breaker.getState()).toBe("OPEN");
    await expect.poll(() => breaker.execute(async () => "ran").catch(() => "refused")).toBe("ran");
    expect(breaker.getState()).toBe("CLOSED");
    const lasting = new CircuitBreaker({ failureThreshold: 1, resetTimeout: 60_000 });
    await expect(lasting.execute(fail)).rejects.toThrow("down");
    await expect(lasting.execute(async () => "ran")).rejects.toMatchObject({ code: "LEGACY_CIRCUIT_OPEN" });
    lasting.reset();
    expect(await lasting.execute(async () => "ran")).toBe("ran");
  });
});

describe("MonitoredPool", () => {
  test("connects again after a connection was refused, and counts both", async () => {
    await using proxy = await startFaultProxy({ target: cluster.primary.url });
    const config = { ...AdvancedPoolConfig.development(), port: proxy.port, password: "postgres" };
    await proxy.refuse();
    const pool = new MonitoredPool(config);
    const connecting = pool.connectWithRetry(50);
    await expect.poll(() => pool.getMetrics().failedAcquires).toBeGreaterThan(0);
    await proxy.accept();
    (await connecting).release();
    expect(pool.getMetrics()).toMatchObject({ totalAcquired: 1, totalConnections: 1, activeConnections: 0 });
    expect(await pool.healthCheck()).toEqual({ healthy: true });
    await pool.shutdown();
  });

  test("gives up with the last failure", async () => {
    const pool = new MonitoredPool({ connectionString: "postgres://a:b@127.0.0.1:1/a" });
    await expect(pool.connectWithRetry(1)).rejects.toThrow();
    expect(pool.getMetrics()).toMatchObject({ totalAcquired: 0, failedAcquires: 2 });
    expect((await pool.healthCheck()).healthy).toBe(false);
    await pool.shutdown();
    await pool.shutdown();
    await expect(pool.connectWithRetry()).rejects.toMatchObject({ code: "POOL_CLOSED" });
    expect(pool.getMetrics().failedAcquires).toBe(3);
  });
});

describe("UnifiedHealthMonitor", () => {
  test("looks at the manager it is given", async () => {
    const monitor = new UnifiedHealthMonitor(getConnectionManager());
    expect(monitor.getHealthSummary().issues).toEqual(["no check was made yet"]);
    const { status, issues } = await monitor.performHealthCheck();
    expect(status, issues.join()).not.toBe("unhealthy");
  });

  test("says what is wrong when the primary does not answer, and throws nothing", async () => {
    const manager = new UnifiedConnectionManager({
      connectionString: "postgres://a:secret@127.0.0.1:1/a",
      readReplicaUrls: [],
    });
    const monitor = new UnifiedHealthMonitor(manager);
    const { status, issues } = await monitor.performHealthCheck();
    expect(status).toBe("unhealthy");
    expect(issues.join()).toMatch(/the primary does not answer: .*ECONNREFUSED/);
    expect(issues.join()).not.toContain("secret");
    await manager.close();
    expect(await monitor.performHealthCheck()).toMatchObject({ status: "unhealthy", issues: [expect.any(String)] });
    expect(monitor.getHealthSummary().issues.join()).toContain("shut down");
  });
});

describe("readDb and writeDb", () => {
  const notes = pgTable("notes", { id: serial().primaryKey(), body: text().notNull() });
  beforeEach(() => getConnectionManager().initialize());
  const place = sql<{ standby: boolean }>`select pg_is_in_recovery() as standby`;

  test("are Drizzle handles: reads at the replica, writes at the primary, own writes always seen", async () => {
    await writeDb.execute(sql`create table notes (id serial primary key, body text not null)`);
    await writeDb.insert(notes).values([{ body: "first" }, { body: "second" }]);
    expect((await readDb.select().from(notes).orderBy(notes.id)).map(({ body }) => body)).toEqual(["first", "second"]);
    expect((await writeDb.execute(place)).rows).toEqual([{ standby: false }]);
    await expect.poll(async () => (await readDb.execute(place)).rows[0]).toEqual({ standby: true });
  });

  test("run transactions on one connection of the right server", async () => {
    const failing = writeDb.transaction(async (tx) => {
      await tx.insert(notes).values({ body: "gone" });
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await writeDb.$count(notes)).toBe(2);
    const standby = await readDb.transaction(async (tx) => (await tx.execute(place)).rows[0]);
    expect(standby).toEqual({ standby: true });
    expect(getConnectionManager().getPool().stats().checkedOut).toBe(0);
  });

  test("say what to install where drizzle-orm is missing", () => {
    const script = `
      import Module from "node:module";
      const resolve = Module._resolveFilename;
      Module._resolveFilename = function (request, ...rest) {
        if (request.startsWith("drizzle-orm")) throw Object.assign(new Error("Cannot find module"), { code: "MODULE_NOT_FOUND" });
        return resolve.call(this, request, ...rest);
      };
      const { readDb } = await import("@db/legacy-compat/chanuka/core");
      console.log("imported");
      try { readDb.select(); } catch (error) { console.log(error.code, error.hint); }`;
    const { stdout } = spawnSync(
      process.execPath,
      ["--conditions=@db/source", "--no-deprecation", "--input-type=module", "--eval", script],
      { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8", timeout: 60_000 },
    );
    expect(stdout).toBe("imported\nLEGACY_MISSING_PEER Install it beside @db/legacy-compat: pnpm add drizzle-orm\n");
  });
});
