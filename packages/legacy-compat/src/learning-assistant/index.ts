// What `src/lib/database`, its `health-monitor` and its `backup-recovery` exported.
export type { BackupMetadata } from "../backup-metadata.ts";
export { createFullBackup, type FullBackupOptions } from "./backup.ts";
export { initializeDatabaseSystem } from "./database-system.ts";
export {
  type DatabaseAlert,
  databaseHealthMonitor,
  type DatabaseHealthMetrics,
  type DatabaseHealthMonitor,
  type HealthCheckThresholds,
} from "./health-monitor.ts";
