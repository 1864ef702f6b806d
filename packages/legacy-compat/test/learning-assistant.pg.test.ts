import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configureLegacy } from "@db/legacy-compat";
import {
  createFullBackup,
  databaseHealthMonitor,
  initializeDatabaseSystem,
} from "@db/legacy-compat/learning-assistant";
import { closeConnectionManager, getConnectionManager, getDatabaseConfig } from "@db/legacy-compat/chanuka/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;
let folder: string;
let repositories = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "old-names-"));
  cluster = await startCluster({ replicas: 1 });
});
afterEach(() => closeConnectionManager());
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

function prepare(more: Parameters<typeof useEnvironment>[0] = {}): void {
  repositories += 1;
  const BACKUP_PATH = join(folder, `backups-${repositories}`);
  useEnvironment({ ...environmentOf(cluster), BACKUP_PATH, ...more });
}

describe("initializeDatabaseSystem", () => {
  test("connects, checks, and may be called again", async () => {
    prepare();
    const health = await initializeDatabaseSystem();
    expect(health.version).toMatch(/^18\.\d+$/);
    expect(health.replication).toMatchObject({ isReplicated: true, slaveCount: 1 });
    expect(health.storage.usedSize).toBeGreaterThan(1_000_000);
    expect(health.connections.maxConnections).toBeGreaterThan(0);
    expect(health.uptime).toBeGreaterThan(0);
    expect((await initializeDatabaseSystem()).status).not.toBe("unhealthy");
  });

  test("has the limits of its own guide, by environment, under what the variables say", async () => {
    const url = `${cluster.primary.url}?sslmode=disable`;
    for (const [more, max] of [
      [{}, 20],
      [{ NODE_ENV: "production", DATABASE_URL: url, READ_REPLICA_URLS: "", DB_ALLOW_INSECURE_TLS: "true" }, 50],
      [{ DB_CONNECTION_LIMIT: "3" }, 3],
    ] as const) {
      prepare(more);
      await initializeDatabaseSystem();
      const config = getDatabaseConfig().getConnectionConfig();
      expect(config).toMatchObject({ max, connectionTimeoutMillis: 30_000, queryTimeout: 30_000 });
      expect(getConnectionManager().getPool().stats().max).toBe(max);
      await closeConnectionManager();
    }
  });

  test("says why when the database cannot be reached", async () => {
    prepare({ DATABASE_URL: "postgres://postgres:postgres@127.0.0.1:1/postgres", READ_REPLICA_URLS: "" });
    await expect(initializeDatabaseSystem()).rejects.toMatchObject({ code: "ORCHESTRATOR_SERVICE_START" });
  });
});

describe("databaseHealthMonitor", () => {
  test("judges by the thresholds it is given and keeps its answers", async () => {
    prepare();
    await initializeDatabaseSystem();
    const good = await databaseHealthMonitor.performHealthCheck();
    expect(["healthy", "degraded"]).toContain(good.status);
    const strict = { responseTime: { warning: 0, critical: 0 } };
    const bad = await databaseHealthMonitor.performHealthCheck(strict);
    expect(bad.status).toBe("unhealthy");
    expect(bad.alerts).toContainEqual(expect.objectContaining({ level: "critical", metric: "response_time" }));
    expect(databaseHealthMonitor.getLatestHealth()).toBe(bad);
    expect(databaseHealthMonitor.getHealthHistory(1)).toEqual([bad]);
    expect(await databaseHealthMonitor.quickHealthCheck()).toMatchObject({ status: "healthy" });
  });

  test("is unhealthy and throws nothing when nothing answers", async () => {
    prepare({ DATABASE_URL: "", READ_REPLICA_URLS: "" });
    await expect(initializeDatabaseSystem()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const health = await databaseHealthMonitor.performHealthCheck();
    expect(health).toMatchObject({ status: "unhealthy", version: "unknown" });
    expect(health.alerts[0]!.message).toContain("DATABASE_URL");
    for (let i = 0; i < 100; i += 1) await databaseHealthMonitor.performHealthCheck();
    expect(databaseHealthMonitor.getHealthHistory(1_000)).toHaveLength(100);
    expect(databaseHealthMonitor.getHealthHistory(0)).toEqual([]);
    expect(databaseHealthMonitor.getHealthHistory()).not.toContain(health);
  });
});

describe("createFullBackup", () => {
  test("compresses and encrypts as asked", async () => {
    prepare({ BACKUP_ENCRYPTION_KEY: "correct horse battery staple" });
    await initializeDatabaseSystem();
    const backup = await createFullBackup({ compression: true, encryption: true });
    expect(backup).toMatchObject({ type: "full", status: "completed", compressed: true, encrypted: true });
    expect(backup.location).toBe(process.env["BACKUP_PATH"]);
  });

  test("stores as it is without compression", async () => {
    prepare();
    const backup = await createFullBackup({ compression: false });
    expect(backup).toMatchObject({ compressed: false, encrypted: false });
  });

  test("refuses to pretend that it encrypts", async () => {
    prepare();
    await expect(createFullBackup({ encryption: true })).rejects.toMatchObject({
      code: "LEGACY_OPTION",
      hint: expect.stringContaining("BACKUP_ENCRYPTION_KEY") as string,
    });
  });
});

describe("configureLegacy", () => {
  test("is refused while the services run", async () => {
    prepare();
    await initializeDatabaseSystem();
    expect(() => configureLegacy({})).toThrow(expect.objectContaining({ code: "LEGACY_ALREADY_EXISTS" }));
  });
});
