/** A name of old that this package exports. */
export type OldName =
  | "AdvancedPoolConfig"
  | "DatabaseConnectionPool"
  | "DatabaseService"
  | "UnifiedConnectionManager"
  | "closeConnectionManager"
  | "closeConnectionPool"
  | "createConnectionManager"
  | "createConnectionPool"
  | "createDatabaseOrchestrator"
  | "createFullBackup"
  | "createTestDatabaseConfig"
  | "databaseHealthMonitor"
  | "databaseService"
  | "getConnectionManager"
  | "getConnectionPool"
  | "getDatabaseConfig"
  | "getDatabaseIntegration"
  | "getDatabaseManager"
  | "getDatabaseOrchestrator"
  | "getServices"
  | "initializeDatabaseManager"
  | "initializeDatabaseSystem";

/** What takes the place of each old name. */
export const successors: Readonly<Record<OldName, string>> = Object.freeze({
  AdvancedPoolConfig: "loadConfig({ profile }) of @db/config with createPool of @db/pool",
  DatabaseConnectionPool: "createPool of @db/pool",
  DatabaseService: "createPool of @db/pool",
  UnifiedConnectionManager: "createPool of @db/pool",
  closeConnectionManager: "pool.stop() of @db/pool",
  closeConnectionPool: "pool.stop() of @db/pool",
  createConnectionManager: "createPool of @db/pool",
  createConnectionPool: "createPool of @db/pool",
  createDatabaseOrchestrator: "createOrchestrator of @db/orchestrator",
  createFullBackup: "orchestrator.backups.run() of @db/orchestrator",
  createTestDatabaseConfig: 'loadConfig({ profile: "test" }) of @db/config',
  databaseHealthMonitor: "orchestrator.health() and orchestrator.monitor of @db/orchestrator",
  databaseService: "createPool of @db/pool",
  getConnectionManager: "createPool of @db/pool",
  getConnectionPool: "createPool of @db/pool",
  getDatabaseConfig: "loadConfig of @db/config",
  getDatabaseIntegration: "createOrchestrator of @db/orchestrator",
  getDatabaseManager: "createOrchestrator of @db/orchestrator",
  getDatabaseOrchestrator: "createOrchestrator of @db/orchestrator",
  getServices: "the services of createOrchestrator of @db/orchestrator",
  initializeDatabaseManager: "createOrchestrator of @db/orchestrator",
  initializeDatabaseSystem: "orchestrator.start() of @db/orchestrator",
});

/** `getDatabaseConfig` is `DB_LEGACY_GET_DATABASE_CONFIG`. */
export function warningCodeOf(name: OldName): string {
  return `DB_LEGACY_${name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()}`;
}
