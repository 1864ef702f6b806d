import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { sql } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AdvancedPoolConfig,
  closeConnectionPool,
  createConnectionManager,
  createConnectionPool,
  createDatabaseOrchestrator,
  createTestDatabaseConfig,
  DatabaseConnectionPool,
  DatabaseService,
  databaseService,
  getConnectionManager,
  getConnectionPool,
  getDatabaseConfig,
  getDatabaseIntegration,
  getDatabaseOrchestrator,
  getServices,
  UnifiedConnectionManager,
  writeDb,
} from "@db/legacy-compat/chanuka";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;
let folder: string;

/** The next warning about settings; others may come before it. */
function settingsWarning(): Promise<Error & { readonly code?: string }> {
  return new Promise((done) => {
    const listen = (warning: Error & { readonly code?: string }): void => {
      if (warning.code !== "DB_LEGACY_CONFIGURATIONS") return;
      process.off("warning", listen);
      done(warning);
    };
    process.on("warning", listen);
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "old-names-"));
  cluster = await startCluster({ replicas: 1 });
  useEnvironment({ ...environmentOf(cluster), BACKUP_PATH: join(folder, "backups") });
});
afterEach(async () => {
  await databaseService.shutdown();
  await getDatabaseIntegration().shutdown();
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("getDatabaseIntegration", () => {
  test("queries, reads its own writes from a replica, and commits or rolls back", async () => {
    const db = getDatabaseIntegration();
    await db.initialize();
    await db.query("create table bills (id int primary key generated always as identity, title text, status text)");
    await db.query("insert into bills (title, status) values ($1, $2)", ["Water", "active"]);
    const result = await db.query("select title from bills where status = $1", ["active"]);
    expect(result.rows).toEqual([{ title: "Water" }]);

    const id = await db.transaction(async (client) => {
      const { rows } = await client.query<{ id: number }>("insert into bills (title) values ($1) returning id", [
        "Air",
      ]);
      return rows[0]!.id;
    });
    expect(id).toBe(2);
    const failing = db.transaction(async (client) => {
      await client.query("delete from bills");
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    expect((await db.query("select count(*)::int as count from bills")).rows).toEqual([{ count: 2 }]);
  });

  test("sends reads to the replica, and to the primary when asked or when the replica refuses", async () => {
    const db = getDatabaseIntegration();
    await db.initialize();
    const place = "select pg_is_in_recovery() as standby";
    expect((await db.query(place)).rows[0].standby).toBe(true);
    expect((await db.query(place, [], false)).rows[0].standby).toBe(false);
    await db.query("create sequence numbers");
    // The replica has the sequence: it is asked, and cannot advance it.
    await expect.poll(async () => (await db.query(place)).rows[0].standby).toBe(true);
    expect((await db.query("select nextval('numbers')::int as number")).rows).toEqual([{ number: 1 }]);
  });

  test("tells the health of every component, with what to do", async () => {
    await getDatabaseIntegration().initialize();
    const health = await getDatabaseIntegration().getHealthStatus();
    expect(health.components.connection.status).toBe("healthy");
    expect(health.components.validation.message).toBe("there are no validation rules");
    expect(health.components.backup).toMatchObject({ status: "critical", message: "no backup within 24 hours" });
    expect(health.overall).toBe("critical");
    expect(health.recommendations).toContain("Take a backup, and see that the schedule runs.");
  });

  test("gives services that work", async () => {
    await getDatabaseIntegration().initialize();
    const { validation, indexOptimizer, backupRecovery, monitoring, connectionPool } = getServices();
    expect(await validation.runValidation()).toMatchObject({ totalRules: 0, criticalViolations: 0 });
    expect((await indexOptimizer.analyzeIndexes()).unusedIndexes).toBeTypeOf("number");
    const backup = await backupRecovery.createFullBackup();
    expect(backup).toMatchObject({ type: "full", status: "completed", encrypted: false });
    expect(backup.size).toBeGreaterThan(0);
    expect((await backupRecovery.listBackups()).map(({ id }) => id)).toEqual([backup.id]);
    expect((await monitoring.collectMetrics()).servers.map(({ up }) => up)).toEqual([true, true]);
    expect(connectionPool).toBe(getConnectionManager());
    expect((await getDatabaseIntegration().getHealthStatus()).components.backup.status).toBe("healthy");
  });

  test("refuses work after its shutdown until it is initialised again", async () => {
    const db = getDatabaseIntegration();
    await db.initialize();
    await db.shutdown();
    await db.shutdown();
    await expect(db.query("select 1")).rejects.toMatchObject({ code: "LEGACY_SHUT_DOWN" });
    expect((await db.getHealthStatus()).overall).toBe("critical");
    await db.initialize();
    expect((await db.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });
});

describe("DatabaseService", () => {
  const initialize = (): void => {
    DatabaseService.getInstance().initialize(getDatabaseOrchestrator().getConnectionManager().getPool());
  };

  test("is one instance under both names", () => {
    expect(DatabaseService.getInstance()).toBe(databaseService);
  });

  test("answers with an error and throws nothing before it has a pool", async () => {
    const result = await databaseService.executeQuery(async () => 1, "too-early");
    expect(result).toMatchObject({ success: false, retries: 0, error: { code: "LEGACY_NOT_INITIALIZED" } });
    expect(await databaseService.healthCheck()).toMatchObject({ healthy: false, poolSize: 0 });
    await expect(databaseService.withTransaction(async () => 1)).rejects.toMatchObject({
      code: "LEGACY_NOT_INITIALIZED",
    });
  });

  test("tells data, time and retries, and counts them", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    const before = databaseService.getMetrics();
    const pool = getDatabaseOrchestrator().getConnectionManager().getPool();
    const good = await databaseService.executeQuery(() => pool.query("select 7 as seven"), "seven");
    expect(good.success && good.data.rows).toEqual([{ seven: 7 }]);
    expect(good).toMatchObject({ retries: 0 });
    expect(good.executionTime).toBeGreaterThan(0);

    const bad = await databaseService.executeQuery(() => pool.query("select * from nowhere"), "nowhere");
    expect(bad).toMatchObject({ success: false, retries: 0, error: { code: "42P01" } });
    const after = databaseService.getMetrics();
    expect(after.totalQueries - before.totalQueries).toBe(2);
    expect(after.failedQueries - before.failedQueries).toBe(1);
    expect(after.circuitBreakerState).toBe("CLOSED");
    expect(after.avgResponseTime).toBeGreaterThan(0);
  });

  test("retries what cannot have taken effect, and nothing else", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    let runs = 0;
    const deadlock = Object.assign(new Error("deadlock detected"), { code: "40P01" });
    const retried = await databaseService.executeQuery(async () => {
      runs += 1;
      if (runs < 3) throw deadlock;
      return runs;
    }, "unlucky");
    expect(retried).toMatchObject({ success: true, data: 3, retries: 2 });

    const lost = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    const failing = (): Promise<never> => Promise.reject(lost);
    expect(await databaseService.executeQuery(failing, "write")).toMatchObject({ success: false, retries: 0 });
    expect(await databaseService.executeQuery(failing, "read", { idempotent: true })).toMatchObject({
      success: false,
      retries: 3,
    });
  });

  test("looks into the errors of query builders, which put their own around the driver's", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    let runs = 0;
    // Drizzle throws a DrizzleQueryError whose cause is the driver's.
    const deadlocked = await databaseService.executeQuery(async () => {
      runs += 1;
      if (runs === 1)
        return await writeDb.execute(sql`do $$ begin raise exception 'x' using errcode = '40P01'; end $$`);
      return runs;
    }, "drizzle");
    expect(deadlocked).toMatchObject({ success: true, data: 2, retries: 1 });
    const lost = (): Promise<never> =>
      Promise.reject(
        new Error("Failed query: select 1", { cause: Object.assign(new Error("x"), { code: "ECONNRESET" }) }),
      );
    for (let i = 0; i < 5; i += 1) await databaseService.executeQuery(lost);
    expect(databaseService.getMetrics().circuitBreakerState).toBe("OPEN");
  });

  test("turns whatever is thrown into an error, also what is none and what is thrown at once", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    for (const [thrown, message] of [
      ["a text", "a text"],
      [undefined, "undefined"],
      [null, "null"],
    ] as const) {
      const result = await databaseService.executeQuery(() => {
        throw thrown;
      });
      expect(result).toMatchObject({ success: false, retries: 0, error: { message } });
      expect(result.error).toBeInstanceOf(Error);
    }
  });

  test("counts what is slow, and the time of it all", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    const pool = getDatabaseOrchestrator().getConnectionManager().getPool();
    const before = databaseService.getMetrics();
    const slow = await databaseService.executeQuery(() => pool.query("select pg_sleep(1.05)"), "slow");
    expect(slow.executionTime).toBeGreaterThan(1_000);
    const after = databaseService.getMetrics();
    expect(after.slowQueries - before.slowQueries).toBe(1);
    expect(after).toMatchObject({ slowQueryThreshold: 1_000, retries: before.retries });
  });

  test("opens its circuit on failures of the server, never on bad statements", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    const fail = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
    for (let i = 0; i < 6; i += 1) await databaseService.executeQuery(fail("42601"));
    expect(databaseService.getMetrics().circuitBreakerState).toBe("CLOSED");
    for (let i = 0; i < 5; i += 1) await databaseService.executeQuery(fail("ECONNRESET"));
    expect(databaseService.getMetrics().circuitBreakerState).toBe("OPEN");
    const refused = await databaseService.executeQuery(async () => "not run");
    expect(refused).toMatchObject({ success: false, error: { code: "LEGACY_CIRCUIT_OPEN" } });
  });

  test("rolls a transaction back, also one whose failed statement was swallowed", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    const pool = getDatabaseOrchestrator().getConnectionManager().getPool();
    await pool.query("create table sponsors (name text)");
    await databaseService.withTransaction((client) => client.query("insert into sponsors values ('kept')"));
    const thrown = databaseService.withTransaction(async (client) => {
      await client.query("insert into sponsors values ('gone')");
      throw new Error("no");
    });
    await expect(thrown).rejects.toThrow("no");
    const swallowed = databaseService.withTransaction(async (client) => {
      await client.query("insert into sponsors values ('gone too')");
      await client.query("select 1 / 0").catch(() => undefined);
    });
    await expect(swallowed).rejects.toMatchObject({ code: "POOL_TRANSACTION_ROLLED_BACK" });
    expect((await pool.query("select name from sponsors")).rows).toEqual([{ name: "kept" }]);
    expect(pool.stats().checkedOut).toBe(0);
  });

  test("takes a plain pg pool too, and its health tells that pool's connections", async () => {
    const pool = cluster.createPool({ max: 3 });
    databaseService.initialize(pool);
    expect(await databaseService.healthCheck()).toMatchObject({
      healthy: true,
      poolSize: 1,
      availableConnections: 1,
      waitingRequests: 0,
    });
    await databaseService.shutdown();
    expect(pool.ended).toBe(true);
  });

  test("keeps its first pool when it is initialised again, and tells of another one", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    initialize();
    const warned = settingsWarning();
    const other = cluster.createPool({ max: 1 });
    databaseService.initialize(other);
    const warning = await warned;
    expect(warning).toMatchObject({ name: "DeprecationWarning", code: "DB_LEGACY_CONFIGURATIONS" });
    expect(warning.message).toContain("works on another pool already");
    await databaseService.withTransaction((client) => client.query("select 1"));
    expect(other.totalCount).toBe(0);
    await other.end();
  });

  test("finishes what runs at its shutdown and refuses what comes after", async () => {
    await getDatabaseOrchestrator().initialize();
    initialize();
    const pool = getDatabaseOrchestrator().getConnectionManager().getPool();
    const running = databaseService.executeQuery(() => pool.query("select pg_sleep(0.2)"), "running");
    await expect.poll(() => pool.stats().checkedOut).toBe(1);
    const closing = databaseService.shutdown();
    const late = await databaseService.executeQuery(() => pool.query("select 1"), "late");
    expect(late).toMatchObject({ success: false, error: { code: "LEGACY_SHUT_DOWN" } });
    await expect(databaseService.withTransaction(async () => 1)).rejects.toMatchObject({ code: "LEGACY_SHUT_DOWN" });
    expect(await databaseService.healthCheck()).toMatchObject({ healthy: false, error: { code: "LEGACY_SHUT_DOWN" } });
    const warned = settingsWarning();
    initialize();
    expect((await warned).message).toContain("is shutting down");
    expect(databaseService.shutdown()).toBe(closing);
    expect((await running).success).toBe(true);
    await closing;
  });
});

describe("connection manager and orchestrator", () => {
  test("is made once, under its older name too, and can be made again once closed", async () => {
    const pool = await createConnectionPool();
    expect(pool).toBeInstanceOf(UnifiedConnectionManager);
    expect(pool).toBeInstanceOf(DatabaseConnectionPool);
    expect(getConnectionPool()).toBe(pool);
    await expect(createConnectionManager()).rejects.toMatchObject({ code: "LEGACY_ALREADY_EXISTS" });
    expect(pool.getPoolStatus().readReplicas).toHaveLength(1);
    await closeConnectionPool();
    await (await createConnectionManager({ max: 3 })).query("select 1");
    expect(getConnectionManager().getPool().stats().max).toBe(3);
    await closeConnectionPool();
    await getDatabaseOrchestrator().initialize();
    expect(getConnectionManager().getPool().stats().max).toBe(10);
  });

  test("asked for with other settings than those in force, is a pool of its own, and that is told", async () => {
    await getDatabaseOrchestrator().initialize();
    const warned = settingsWarning();
    const own = await createConnectionPool({ max: 2, application_name: "own" });
    expect(await warned).toMatchObject({ code: "DB_LEGACY_CONFIGURATIONS" });
    expect(getConnectionPool()).toBe(own);
    expect(own.getPool().stats().max).toBe(2);
    expect(getDatabaseOrchestrator().getConnectionManager().getPool().stats().max).toBe(10);
    await closeConnectionPool();
    await expect(own.query("select 1")).rejects.toMatchObject({ code: "LEGACY_SHUT_DOWN" });
    expect((await getDatabaseOrchestrator().getConnectionManager().query("select 1 as one")).rows).toEqual([
      { one: 1 },
    ]);
  });

  test("made by hand takes pg's options over the environment", async () => {
    const manager = new DatabaseConnectionPool({ max: 2, application_name: "by-hand", readReplicaUrls: [] });
    await manager.initialize();
    const { rows } = await manager.query("select current_setting('application_name') as name");
    expect(rows).toEqual([{ name: "by-hand" }]);
    expect(manager.getMetrics()).toMatchObject({ totalQueries: 1, errorCount: 0, waitingClients: 0 });
    expect(await manager.checkDatabaseHealth()).toMatchObject({ overall: true, operational: true });
    await manager.close();
    expect(await manager.checkDatabaseHealth()).toMatchObject({ overall: false });
  });

  test("repeats a transaction as often as asked, and tells each failure", async () => {
    const manager = getDatabaseOrchestrator().getConnectionManager();
    await manager.initialize();
    const told: number[] = [];
    let runs = 0;
    const result = await manager.withTransaction(
      async (tx) => {
        await tx.query("select 1");
        if ((runs += 1) < 2) throw Object.assign(new Error("serialize"), { code: "40001" });
        return runs;
      },
      { maxRetries: 2, retryDelay: () => 1, onError: (_, attempt) => told.push(attempt) },
    );
    expect(result).toBe(2);
    expect(told).toEqual([1]);
    const clash = manager.withTransaction(() => Promise.reject(Object.assign(new Error("x"), { code: "40001" })));
    await expect(clash).rejects.toMatchObject({ code: "40001" });
  });

  test("an orchestrator of its own initialises, reports and shuts down", async () => {
    const orchestrator = await createDatabaseOrchestrator({ autoInitialize: true });
    expect(orchestrator.isInitialized()).toBe(true);
    expect(await orchestrator.performHealthCheck()).toMatchObject({ healthy: true });
    await orchestrator.initialize();
    expect(await orchestrator.getStatus()).toMatchObject({
      initialized: true,
      connections: { primary: true, replicas: true },
      services: { healthMonitor: true },
    });
    expect(orchestrator.getUptime()).toBeGreaterThan(0);
    expect(await orchestrator.getMetrics()).toMatchObject({
      connections: { waiting: 0 },
      performance: { errorRate: 0, slowQueries: 0 },
    });
    const unwatched = await createDatabaseOrchestrator({ enableHealthMonitoring: false });
    expect(await unwatched.getStatus()).toMatchObject({ services: { healthMonitor: false } });
    await unwatched.shutdown();
    expect(orchestrator.getHealthMonitor().getHealthSummary().status).not.toBe("unhealthy");
    await orchestrator.shutdown();
    expect(orchestrator.isInitialized()).toBe(false);
    expect(await orchestrator.performHealthCheck()).toMatchObject({ healthy: false });
  });

  test("one that cannot connect fails, and may be tried again", async () => {
    const url = process.env["DATABASE_URL"]!;
    process.env["DATABASE_URL"] = url.replace(/\/[^/]*$/, "/not_there");
    const orchestrator = await createDatabaseOrchestrator({ autoInitialize: false });
    await expect(orchestrator.initialize()).rejects.toMatchObject({ code: "ORCHESTRATOR_SERVICE_START" });
    process.env["DATABASE_URL"] = url;
    // Nothing is left shut down by it.
    expect((await orchestrator.getConnectionManager().query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await orchestrator.initialize();
    expect(orchestrator.isInitialized()).toBe(true);
    await orchestrator.shutdown();
  });
});

describe("configuration", () => {
  test("comes from the old variables, and shows no password", () => {
    const config = getDatabaseConfig();
    const connection = config.getConnectionConfig();
    expect(connection).toMatchObject({ host: "127.0.0.1", port: cluster.primary.port, user: "postgres" });
    expect(connection.password).toBe("postgres");
    expect(connection.readReplicaUrls).toHaveLength(1);
    expect(JSON.stringify(connection)).not.toContain("password");
    expect(config.getMonitoringConfig()).toMatchObject({ checkInterval: 30_000 });
    expect(config.getBackupConfig()).toMatchObject({ retentionDays: 7, encryptionEnabled: false });
    expect(config.isFeatureEnabled("readReplicas")).toBe(true);
  });

  test("for tests holds every environment and nothing of this process", () => {
    const { environments } = createTestDatabaseConfig();
    expect(environments.test.connection).toMatchObject({ database: "chanuka_test", port: 5432 });
    expect(environments.production.connection).toMatchObject({ min: 5, max: 50 });
  });

  test("sizes pools and asks for TLS by environment", async () => {
    expect(AdvancedPoolConfig.development()).toMatchObject({ min: 2, max: 10, ssl: false, keepAlive: true });
    expect(AdvancedPoolConfig.staging()).toMatchObject({ min: 3, max: 15, ssl: false });
    expect(AdvancedPoolConfig.production()).toMatchObject({ min: 5, max: 50, ssl: { rejectUnauthorized: true } });
    expect(AdvancedPoolConfig.staging()).toMatchObject({ query_timeout: 30_000, connectionTimeoutMillis: 5_000 });
    const set = { DB_CONNECTION_LIMIT: "4", DB_QUERY_TIMEOUT: "1500", DB_CONNECT_TIMEOUT: "2", DB_KEEP_ALIVE: "off" };
    Object.assign(process.env, set);
    expect(AdvancedPoolConfig.production()).toMatchObject({
      min: 4,
      max: 4,
      query_timeout: 1_500,
      statement_timeout: 1_500,
      connectionTimeoutMillis: 2_000,
      keepAlive: false,
      ssl: { rejectUnauthorized: true },
    });
    for (const name of Object.keys(set)) delete process.env[name];
    const pool = cluster.createPool(AdvancedPoolConfig.development());
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});
