export type { LockHolder } from "./advisory-lock.ts";
export { applyMigrations } from "./applying.ts";
export {
  type Catalog,
  type CatalogColumn,
  type CatalogConstraint,
  type CatalogFunction,
  type CatalogIndex,
  type CatalogTable,
  type CatalogType,
  emptyCatalog,
  fingerprintCatalog,
  type SqlType,
} from "./catalog.ts";
export { type CatalogDifference, diffCatalogs, formatCatalogDifferences } from "./catalog-diff.ts";
export type { MigrationState } from "./comparison.ts";
export type { StatementEffects } from "./effect-collector.ts";
export {
  CatalogBusyError,
  HistoryError,
  MigrationFailedError,
  MigrationFilesError,
  MigrationFolderError,
  MigrationLockTimeoutError,
  MigrationOptionsError,
  MigrationsRefusedError,
  StalePlanError,
  TransactionPoolerError,
  UncertainStatementError,
  UnknownMigrationError,
  UnsupportedServerError,
} from "./errors.ts";
export type { MigrationEvent } from "./event.ts";
export type { FileProblem, FileProblemCode } from "./file-problem.ts";
export type { MigrationFinding } from "./finding.ts";
export type { HistoryEntry, HistoryState } from "./history.ts";
export { formatLintAnnotations, formatLintSarif } from "./lint-output.ts";
export { type LintOptions, lintMigrations, type LintReport } from "./linting.ts";
export { type CreatedMigration, createMigrationFile, type CreateMigrationOptions } from "./migration-template.ts";
export {
  type ApplyOptions,
  type FindingPolicy,
  historyDefaults,
  type HistoryOptions,
  type MigrationOptions,
  planDefaults,
  type PlanOptions,
  type RollbackOptions,
} from "./options.ts";
export type { AdoptedMigration, KnownMigration, MigrationPlan, PlannedMigration, PlannedStatement } from "./plan.ts";
export { formatMigrationPlan } from "./plan-text.ts";
export { planBaseline, planMigrations } from "./planning.ts";
export type { MigrationFailure, MigrationReport, MigrationRun, StatementReport } from "./report.ts";
export {
  proveReversals,
  type Reversal,
  type ReversalOptions,
  type ReversalReport,
  type ShadowDatabase,
} from "./reversal-proof.ts";
export { planRollback } from "./rollback.ts";
export { migrationStatus, type MigrationStatus, type MigrationStatusEntry } from "./status.ts";
export { type LockMode, lockModes, type TableLock } from "./table-lock.ts";
