// The application's start-up and health endpoint, to its guide, by the names and paths it had.
import { failover, told } from "../../told.ts";
import { createFullBackup } from "./lib/database/backup-recovery.ts";
import { databaseHealthMonitor } from "./lib/database/health-monitor.ts";
import { initializeDatabaseSystem } from "./lib/database/index.ts";

await initializeDatabaseSystem();
const health = await databaseHealthMonitor.performHealthCheck();
const backup = await createFullBackup({ compression: true, encryption: true });
told("before", {
  status: health.status,
  connections: health.connections,
  replicated: health.replication.isReplicated,
  backup: { encrypted: backup.encrypted, compressed: backup.compressed, status: backup.status },
  quick: (await databaseHealthMonitor.quickHealthCheck()).status,
});

await failover();
let quick = "unhealthy";
while (quick === "unhealthy") quick = (await databaseHealthMonitor.quickHealthCheck()).status;
const after = await databaseHealthMonitor.performHealthCheck();
told("after", {
  version: after.version,
  alive: after.uptime > 0,
  history: databaseHealthMonitor.getHealthHistory().length,
});
process.exit(0);
