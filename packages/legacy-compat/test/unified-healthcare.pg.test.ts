import { getDatabaseManager, initializeDatabaseManager } from "@db/legacy-compat/unified-healthcare";
import { getDatabaseConfig } from "@db/legacy-compat/chanuka/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  const { DATABASE_URL, READ_REPLICA_URLS } = environmentOf(cluster);
  useEnvironment({ DATABASE_URL, DB_READ_REPLICA_URL: READ_REPLICA_URLS, DB_CONNECTION_LIMIT: "7" });
});
afterAll(async () => {
  await cluster?.stop();
});

describe("database manager", () => {
  test("is not there before it is initialised", () => {
    expect(() => getDatabaseManager()).toThrow(expect.objectContaining({ code: "LEGACY_NOT_INITIALIZED" }));
  });

  test("has the limits of its own guide where nothing says otherwise, in production too", async () => {
    const { DATABASE_URL, READ_REPLICA_URLS } = environmentOf(cluster);
    useEnvironment({
      DATABASE_URL: `${DATABASE_URL}?sslmode=disable`,
      READ_REPLICA_URLS,
      NODE_ENV: "production",
      DB_ALLOW_INSECURE_TLS: "true",
    });
    const manager = initializeDatabaseManager();
    await manager.connect();
    expect(manager.getMetrics().connectionLimit).toBe(10);
    await manager.disconnect();
    expect(getDatabaseConfig().getConnectionConfig()).toMatchObject({ min: 5, max: 10 });
    useEnvironment({ DATABASE_URL, DB_READ_REPLICA_URL: READ_REPLICA_URLS, DB_CONNECTION_LIMIT: "7" });
  });

  test("connects with the options it was given, reports and disconnects", async () => {
    const manager = initializeDatabaseManager({
      connectionLimit: 4,
      poolTimeout: 10,
      connectTimeout: 5,
      enableReadReplica: true,
    });
    await manager.connect();
    expect(getDatabaseManager()).toBe(manager);
    expect(getDatabaseConfig().getConnectionConfig()).toMatchObject({
      acquireTimeoutMillis: 10_000,
      connectionTimeoutMillis: 5_000,
    });
    const health = await manager.checkHealth();
    expect(health).toMatchObject({ healthy: true, readReplica: { healthy: true }, issues: [] });
    expect(health.latency).toBeGreaterThan(0);
    expect(manager.getMetrics()).toMatchObject({ connectionLimit: 4, totalQueries: 1, failedQueries: 0 });
    await manager.disconnect();
    await manager.disconnect();
    expect(await manager.checkHealth()).toMatchObject({ healthy: false, status: "unhealthy", latency: null });
    expect(() => manager.getMetrics()).toThrow(expect.objectContaining({ code: "LEGACY_SHUT_DOWN" }));
  });

  test("connects again after it disconnected, with other options, and without the replica if told so", async () => {
    const manager = initializeDatabaseManager({ enableReadReplica: false });
    await manager.connect();
    expect(manager.getMetrics().connectionLimit).toBe(7);
    expect((await manager.checkHealth()).readReplica).toBeNull();
    await manager.disconnect();
  });

  test("keeps working through a failover", async () => {
    const manager = initializeDatabaseManager({ enableReadReplica: true });
    await manager.connect();
    const pool = manager.getPool();
    await pool.query("create table patients (name text)");
    await cluster.primary.kill();
    await cluster.replicas[0].promote();
    // Nothing was sent to the new primary yet, so nothing can be done twice.
    await expect
      .poll(() =>
        pool.query("insert into patients values ('a')").then(
          () => "written",
          () => "lost",
        ),
      )
      .toBe("written");
    const health = await manager.checkHealth();
    expect(health.healthy).toBe(true);
    await manager.disconnect();
  });
});
