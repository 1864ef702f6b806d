// The platform's server, to its guides: everything here is imported by the names and paths it had.
import { failover, told } from "../../told.ts";
import { EnhancedHealthCheckScript } from "../scripts/database/enhanced-health-check.ts";
import {
  BaseDatabaseScript,
  createDatabaseOrchestrator,
  createTestDatabaseConfig,
  getDatabaseConfig,
  getDatabaseOrchestrator,
  type ScriptContext,
  type ScriptResult,
} from "../shared/database/index.ts";
import { DrizzleBillRepository } from "./bill-repository.ts";
import { databaseService, DatabaseService } from "./infrastructure/database/database-service.ts";
import { getDatabaseIntegration } from "./infrastructure/database/index.ts";
import {
  createConnectionPool,
  closeConnectionPool,
  DatabaseConnectionPool,
  getConnectionPool,
} from "./infrastructure/database/legacy-compatibility.ts";
import { AdvancedPoolConfig, MonitoredPool } from "./infrastructure/database/pool-config.ts";

const orchestrator = getDatabaseOrchestrator();
await orchestrator.initialize();
const dbService = DatabaseService.getInstance();
dbService.initialize(orchestrator.getConnectionManager().getPool());

const dbIntegration = getDatabaseIntegration();
await dbIntegration.query("create table bills (id serial primary key, title text not null, status text not null)");
await dbIntegration.query(
  "create table bill_engagement (bill_id int not null references bills (id), user_id int not null)",
);
await dbIntegration.transaction(async (client) => {
  await client.query("INSERT INTO bills (title, status) VALUES ($1, $2)", ["New Bill", "active"]);
  await client.query("INSERT INTO bill_engagement (bill_id, user_id) VALUES ($1, $2)", [1, 7]);
});
const active = await dbIntegration.query("SELECT * FROM bills WHERE status = $1", ["active"]);
const rolledBack = await databaseService
  .withTransaction(async (client) => {
    await client.query("delete from bill_engagement");
    throw new Error("changed my mind");
  })
  .catch((error: unknown) => (error as Error).message);

class CountBills extends BaseDatabaseScript {
  constructor() {
    super("count-bills", "Counts the bills");
  }

  async execute(context: ScriptContext): Promise<ScriptResult> {
    const { orchestrator: own, config, logger, options } = context;
    if (options.dryRun) return { success: true, message: "would count" };
    const { rows } = await own.getConnectionManager().query("select count(*)::int as count from bills", [], false);
    logger.info("counted");
    return { success: true, data: { count: rows[0].count, database: config.getConnectionConfig().database } };
  }
}

const services = dbIntegration.getServices();
const config = getDatabaseConfig();
const monitored = new MonitoredPool(AdvancedPoolConfig.development());
(await monitored.connectWithRetry()).release();
const second = await createDatabaseOrchestrator({ autoInitialize: true });
const repository = new DrizzleBillRepository();
told("before", {
  active: active.rows,
  rolledBack,
  engagement: (await dbIntegration.query("select count(*)::int as count from bill_engagement")).rows[0].count,
  bills: await repository.fetchBills(),
  health: (await dbIntegration.getHealthStatus()).components.connection.status,
  serviceHealth: await databaseService.healthCheck(),
  monitored: monitored.getMetrics(),
  secondInitialized: second.isInitialized(),
  testEnvironment: createTestDatabaseConfig().environments.test !== undefined,
  port: config.getConnectionConfig().port,
  interval: config.getMonitoringConfig().checkInterval,
  validation: (await services.validation.runValidation()).totalRules,
  indexes: (await services.indexOptimizer.analyzeIndexes()).totalIndexes,
  backup: (await services.backupRecovery.createFullBackup()).status,
  script: await new CountBills().run(["--json"]),
  dryRun: (await new EnhancedHealthCheckScript().run(["--dry-run"])).success,
  healthScript: (await new EnhancedHealthCheckScript().run([])).success,
  older: getConnectionPool() instanceof DatabaseConnectionPool,
});
await second.shutdown();
await monitored.shutdown();

await failover();
let writes = 0;
while (!(await repository.addBill("After"))) writes += 1;
const metrics = databaseService.getMetrics();
told("after", {
  titles: (await repository.fetchBills()).map(({ title }) => title),
  failedWrites: writes,
  totalQueries: metrics.totalQueries,
  failedQueries: metrics.failedQueries,
  healthy: (await databaseService.healthCheck()).healthy,
  orchestratorHealthy: (await orchestrator.performHealthCheck()).healthy,
});

const running = databaseService.executeQuery(() => dbIntegration.query("select pg_sleep(0.2)", [], false), "running");
await databaseService.shutdown();
told("end", {
  running: (await running).success,
  late: await databaseService.executeQuery(async () => 1, "late").then(({ success }) => success),
});
await orchestrator.shutdown();
await (await createConnectionPool()).query("select 1", [], false);
await closeConnectionPool();
process.disconnect();
