/** A name of old that this package exports. */
export type OldName =
  | "AdvancedPoolConfig"
  | "BaseDatabaseScript"
  | "BaseRepository"
  | "CircuitBreaker"
  | "DatabaseConnectionPool"
  | "DatabaseService"
  | "EnhancedHealthCheckScript"
  | "EnhancedPool"
  | "MonitoredPool"
  | "UnifiedConnectionManager"
  | "UnifiedHealthMonitor"
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
  | "getRequestContext"
  | "getServices"
  | "initializeDatabaseManager"
  | "initializeDatabaseSystem"
  | "readDb"
  | "requestContext"
  | "runWithRequestContext"
  | "transactionMiddleware"
  | "withRequestTransaction"
  | "writeDb";

/** What takes the place of each old name. */
export const successors: Readonly<Record<OldName, string>> = Object.freeze({
  AdvancedPoolConfig: "loadConfig({ profile }) of @db/config with createPool of @db/pool",
  BaseDatabaseScript: "defineScript of @db/orchestrator",
  BaseRepository: "pool.replica.query and pool.withTransaction of @db/pool",
  CircuitBreaker: "the circuit breakers of createPool of @db/pool",
  DatabaseConnectionPool: "createPool of @db/pool",
  DatabaseService: "createPool of @db/pool",
  EnhancedHealthCheckScript: "db health, or orchestrator.health() of @db/orchestrator",
  EnhancedPool: "createPool of @db/pool",
  MonitoredPool: "createPool of @db/pool",
  UnifiedConnectionManager: "createPool of @db/pool",
  UnifiedHealthMonitor: "orchestrator.health() of @db/orchestrator",
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
  getRequestContext: "an AsyncLocalStorage of your own",
  getServices: "the services of createOrchestrator of @db/orchestrator",
  initializeDatabaseManager: "createOrchestrator of @db/orchestrator",
  initializeDatabaseSystem: "orchestrator.start() of @db/orchestrator",
  readDb: "drizzle({ client: pool }) of drizzle-orm/node-postgres, reads by pool.replica of @db/pool",
  requestContext: "an AsyncLocalStorage of your own",
  runWithRequestContext: "an AsyncLocalStorage of your own",
  transactionMiddleware: "pool.withTransaction of @db/pool",
  withRequestTransaction: "pool.withTransaction of @db/pool",
  writeDb: "drizzle({ client: pool }) of drizzle-orm/node-postgres with createPool of @db/pool",
});

/** `getDatabaseConfig` is `DB_LEGACY_GET_DATABASE_CONFIG`. */
export function warningCodeOf(name: OldName): string {
  return `DB_LEGACY_${name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase()}`;
}
