// What `server/infrastructure/database` exported, and all of `shared/database`.
export { closeConnectionPool, createConnectionPool, getConnectionPool } from "./connection-manager.ts";
export { DatabaseConnectionPool } from "./connection-pool.ts";
export { type DatabaseIntegrationService, getDatabaseIntegration, getServices } from "./database-integration.ts";
export {
  type DatabaseMetrics,
  type DatabaseResult,
  DatabaseService,
  databaseService,
  type ExecuteOptions,
  type HealthCheckResult,
} from "./database-service.ts";
export type { ComponentHealth, ComponentStatus, DatabaseHealthStatus } from "./health-status.ts";
export { MonitoredPool, type MonitoredPoolMetrics } from "./monitored-pool.ts";
export { AdvancedPoolConfig } from "./pool-config.ts";
export { BaseRepository } from "./repository.ts";
export {
  getRequestContext,
  type IncomingRequest,
  type NextFunction,
  type RequestContext,
  requestContext,
  runWithRequestContext,
} from "./request-context.ts";
export { type OutgoingResponse, transactionMiddleware, withRequestTransaction } from "./transaction-middleware.ts";
export { EnhancedHealthCheckScript, type HealthCheckReport } from "../scripts/enhanced-health-check.ts";
export type { ServicePool } from "./service-pool.ts";
export type { DatabaseServices, LegacyIndexReport, LegacyValidationReport, MonitoringService } from "./services.ts";
export type { BackupMetadata } from "../backup-metadata.ts";

export {
  type BackupConfig,
  BaseDatabaseScript,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitBreakerState,
  closeConnectionManager,
  type ConnectionConfig,
  type ConnectionHealth,
  type ConnectionManagerConfig,
  type ConnectionMetrics,
  createConnectionManager,
  createDatabaseOrchestrator,
  createTestDatabaseConfig,
  type DatabaseConfig,
  type DatabaseConfigManager,
  type DatabaseOrchestrationConfig,
  type DatabaseOrchestrator,
  type DatabaseStatus,
  type DrizzleHandle,
  EnhancedPool,
  type EnhancedPoolHealth,
  type EnhancedPoolMetrics,
  type EnvironmentConfig,
  type FeatureConfig,
  getConnectionManager,
  getDatabaseConfig,
  getDatabaseOrchestrator,
  type HealthSummary,
  type ManagerTransactionOptions,
  type MigrationConfig,
  type MonitoringConfig,
  type OrchestratorMetrics,
  type PoolCounts,
  type PoolStatus,
  readDb,
  type ScriptContext,
  type ScriptLogger,
  type ScriptOptions,
  type ScriptResult,
  UnifiedConnectionManager,
  UnifiedHealthMonitor,
  writeDb,
} from "./core.ts";
