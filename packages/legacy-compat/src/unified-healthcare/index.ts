// What `src/lib/database` exported.
export {
  type DatabaseManager,
  type DatabaseManagerOptions,
  getDatabaseManager,
  initializeDatabaseManager,
  type ManagerHealth,
  type ManagerMetrics,
} from "./database-manager.ts";
