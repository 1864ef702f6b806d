// The integration patterns and the tests of the consolidation guide, as they stand there.
import { createDatabaseOrchestrator, createTestDatabaseConfig, getDatabaseConfig } from "../shared/database";
import { getDatabaseOrchestrator } from "../shared/database";
import { BaseDatabaseScript, type ScriptContext, type ScriptResult } from "../shared/database";
import { EnhancedHealthCheckScript } from "../scripts/database/enhanced-health-check";
import { getDatabaseIntegration } from "../server/infrastructure/database";
import {
  closeConnectionPool,
  createConnectionPool,
  DatabaseConnectionPool,
  getConnectionPool,
} from "../server/infrastructure/database/legacy-compatibility.guide";

const config = getDatabaseConfig();
const connectionConfig = config.getConnectionConfig();
const monitoringConfig = config.getMonitoringConfig();

const orchestrator = getDatabaseOrchestrator();
const connectionManager = orchestrator.getConnectionManager();
const healthMonitor = orchestrator.getHealthMonitor();

class MyScript extends BaseDatabaseScript {
  constructor() {
    super("my-script", "Description of my script");
  }

  async execute(context: ScriptContext): Promise<ScriptResult> {
    const { orchestrator, config, logger, options } = context;
    logger.info("counting", { dryRun: options.dryRun });
    const { rows } = await orchestrator.getConnectionManager().query("SELECT count(*)::int AS bills FROM bills");
    return { success: true, data: { ...rows[0], database: config.getConnectionConfig().database } };
  }
}

afterAll(() => getDatabaseIntegration().shutdown());

describe("Database Configuration", () => {
  it("should create valid test configuration", () => {
    const config = createTestDatabaseConfig();
    expect(config.environments.test).toBeDefined();
  });

  it("comes from the variables", () => {
    expect(connectionConfig).toMatchObject({ host: "127.0.0.1", database: "postgres", max: 10 });
    expect(monitoringConfig).toMatchObject({ enabled: true, checkInterval: 5000 });
  });
});

describe("Database Orchestrator", () => {
  it("should initialize successfully", async () => {
    const orchestrator = await createDatabaseOrchestrator({
      autoInitialize: true,
    });

    expect(orchestrator.isInitialized()).toBe(true);
    await orchestrator.shutdown();
  });

  it("gives the manager and the monitor of the process", async () => {
    expect((await connectionManager.query("SELECT title FROM bills WHERE id = 1")).rows).toEqual([{ title: "Water" }]);
    expect((await healthMonitor.performHealthCheck()).status).not.toBe("unhealthy");
  });
});

describe("Scripts", () => {
  it("runs a script of its own", async () => {
    const { success, data } = await new MyScript().run([]);
    expect(success).toBe(true);
    expect(data).toEqual({ bills: expect.any(Number) as number, database: "postgres" });
  });
});

describe("Enhanced Health Check", () => {
  it("should run health check successfully", async () => {
    const script = new EnhancedHealthCheckScript();
    const result = await script.run(["--dry-run"]);

    expect(result.success).toBe(true);
  });
});

describe("Compatibility layer", () => {
  it("makes, gives and closes the pool under its older names", async () => {
    const pool: DatabaseConnectionPool = await createConnectionPool();
    expect(pool).toBeInstanceOf(DatabaseConnectionPool);
    expect(getConnectionPool()).toBe(pool);
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await closeConnectionPool();
  });
});
