// The service's life, to its guide, by the names and paths it had.
import { failover, told } from "../told.ts";
import { getDatabaseManager, initializeDatabaseManager } from "./lib/database.ts";

const early = ((): string => {
  try {
    getDatabaseManager();
    return "there";
  } catch (error) {
    return (error as { code: string }).code;
  }
})();
const dbManager = initializeDatabaseManager({ connectionLimit: 10, poolTimeout: 10, enableReadReplica: true });
await dbManager.connect();
await dbManager.connect();
const manager = getDatabaseManager();
const health = await manager.checkHealth();
told("before", {
  early,
  same: manager === dbManager,
  twice: initializeDatabaseManager({ connectionLimit: 10, poolTimeout: 10, enableReadReplica: true }) === manager,
  healthy: health.healthy,
  replica: health.readReplica?.healthy,
  limit: manager.getMetrics().connectionLimit,
});

await failover();
let checks = 0;
while (!(await manager.checkHealth()).healthy) checks += 1;
const { totalQueries, failedQueries } = manager.getMetrics();
told("after", { checks, totalQueries, failedQueries });
await dbManager.disconnect();
told("end", { healthy: (await manager.checkHealth()).healthy });
process.disconnect();
