// The shim itself
export {
  LegacyAlreadyExistsError,
  LegacyCircuitOpenError,
  LegacyMissingPeerError,
  LegacyNoRequestError,
  LegacyNotInitializedError,
  LegacyOptionError,
  LegacyShutDownError,
} from "./errors.ts";
export { configureLegacy, type LegacySetup } from "./host.ts";
export { type OldName, successors } from "./successor.ts";
export { type CallSite, compatReport, type CompatReport, type OldNameUse } from "./use.ts";

// The old names; their types are exported by platform, from ./chanuka, ./learning-assistant, ./unified-healthcare.
export {
  AdvancedPoolConfig,
  BaseDatabaseScript,
  BaseRepository,
  CircuitBreaker,
  closeConnectionManager,
  closeConnectionPool,
  createConnectionManager,
  createConnectionPool,
  createDatabaseOrchestrator,
  createTestDatabaseConfig,
  DatabaseConnectionPool,
  DatabaseService,
  databaseService,
  EnhancedHealthCheckScript,
  EnhancedPool,
  getConnectionManager,
  getConnectionPool,
  getDatabaseConfig,
  getDatabaseIntegration,
  getDatabaseOrchestrator,
  getRequestContext,
  getServices,
  MonitoredPool,
  readDb,
  requestContext,
  runWithRequestContext,
  transactionMiddleware,
  UnifiedConnectionManager,
  UnifiedHealthMonitor,
  withRequestTransaction,
  writeDb,
} from "./chanuka/index.ts";
export { createFullBackup, databaseHealthMonitor, initializeDatabaseSystem } from "./learning-assistant/index.ts";
export { getDatabaseManager, initializeDatabaseManager } from "./unified-healthcare/index.ts";
