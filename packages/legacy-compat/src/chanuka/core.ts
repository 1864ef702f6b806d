// What `shared/database` and `shared/database/core` exported.
export {
  closeConnectionManager,
  type ConnectionHealth,
  type ConnectionMetrics,
  createConnectionManager,
  getConnectionManager,
  type ManagerTransactionOptions,
  type PoolCounts,
  type PoolStatus,
  UnifiedConnectionManager,
} from "./connection-manager.ts";
export type { ConnectionManagerConfig } from "./connection-options.ts";
export {
  type BackupConfig,
  type ConnectionConfig,
  createTestDatabaseConfig,
  type DatabaseConfig,
  type DatabaseConfigManager,
  type EnvironmentConfig,
  type FeatureConfig,
  getDatabaseConfig,
  type MigrationConfig,
  type MonitoringConfig,
} from "./config-manager.ts";
export {
  createDatabaseOrchestrator,
  type DatabaseOrchestrationConfig,
  type DatabaseOrchestrator,
  type DatabaseStatus,
  getDatabaseOrchestrator,
  type OrchestratorMetrics,
} from "./database-orchestrator.ts";
export { CircuitBreaker, type CircuitBreakerOptions } from "./circuit-breaker.ts";
export type { CircuitBreakerState } from "./circuit.ts";
export { type DrizzleHandle, readDb, writeDb } from "./drizzle-handles.ts";
export { EnhancedPool, type EnhancedPoolHealth, type EnhancedPoolMetrics } from "./enhanced-pool.ts";
export { type HealthSummary, UnifiedHealthMonitor } from "./health-monitor.ts";
export {
  BaseDatabaseScript,
  type ScriptContext,
  type ScriptOptions,
  type ScriptResult,
} from "../scripts/base-script.ts";
export type { ScriptLogger } from "../scripts/script-logger.ts";
