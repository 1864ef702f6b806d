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
export type { CircuitBreakerState } from "./circuit.ts";
export type { ComponentHealth, ComponentStatus, DatabaseHealthStatus } from "./health-status.ts";
export { AdvancedPoolConfig } from "./pool-config.ts";
export type { ServicePool } from "./service-pool.ts";
export type { DatabaseServices, LegacyIndexReport, LegacyValidationReport, MonitoringService } from "./services.ts";
export type { BackupMetadata } from "../backup-metadata.ts";

export {
  type BackupConfig,
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
  UnifiedConnectionManager,
  type UnifiedHealthMonitor,
} from "./core.ts";
