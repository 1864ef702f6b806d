export type { LockHolder } from "./advisory-lock.ts";
export { foreignTools, type ForeignToolName } from "./adopt/foreign-tool.ts";
export { type ImportedFile, type ImportOptions, type ImportPlan, planImport, writeImport } from "./adopt/importing.ts";
export { applyMigrations } from "./applying.ts";
export {
  type Catalog,
  type CatalogColumn,
  type CatalogConstraint,
  type CatalogFunction,
  type CatalogIndex,
  type CatalogObject,
  type CatalogTable,
  type CatalogType,
  collectCatalog,
  emptyCatalog,
  fingerprintCatalog,
  type SqlType,
} from "./catalog.ts";
export { type CatalogDifference, diffCatalogs, formatCatalogDifferences } from "./catalog-diff.ts";
export {
  type ColumnChange,
  type ColumnChangeOptions,
  createColumnChange,
  type CreatedColumnChange,
} from "./column-change.ts";
export type { BackfillSettings } from "./backfill-settings.ts";
export type { MigrationState } from "./comparison.ts";
export { detectDrift, type DriftOptions, type DriftReport } from "./drift.ts";
export type { StatementEffects } from "./effect-collector.ts";
export {
  BackfillError,
  BackfillPausedError,
  CatalogBusyError,
  DriftBaselineError,
  HistoryError,
  LeaseLostError,
  MigrationFailedError,
  MigrationFilesError,
  MigrationFolderError,
  MigrationLockTimeoutError,
  MigrationOptionsError,
  MigrationsRefusedError,
  ProgramError,
  SquashUnequalError,
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
export { formatLintAnnotations, formatLintReport, formatLintSarif } from "./lint-output.ts";
export { type LintOptions, lintMigrations, type LintReport } from "./linting.ts";
export type { OnlinePhase } from "./migration-file.ts";
export { pauseBackfill } from "./backfill-pause.ts";
export { type CreatedMigration, createMigrationFile, type CreateMigrationOptions } from "./migration-template.ts";
export {
  type ApplyOptions,
  type CancelOptions,
  type FindingPolicy,
  historyDefaults,
  type HistoryOptions,
  type MigrationOptions,
  planDefaults,
  type PlanOptions,
  type RollbackOptions,
} from "./options.ts";
export type { AdoptedMigration, KnownMigration, MigrationPlan, PlannedMigration, PlannedStatement } from "./plan.ts";
export { formatPlanFile, readPlanFile } from "./plan-file.ts";
export { formatMigrationPlan } from "./plan-text.ts";
export { planBaseline, planMigrations } from "./planning.ts";
export { applyRepair, planRepair, type RepairAction, type RepairPlan, type RepairReport } from "./repair.ts";
export type { MigrationFailure, MigrationReport, MigrationRun, StatementReport } from "./report.ts";
export {
  proveReversals,
  type Reversal,
  type ReversalOptions,
  type ReversalReport,
  type ShadowDatabase,
} from "./reversal-proof.ts";
export type { Placeholders } from "./placeholder.ts";
export { defineMigration, type MigrationContext, type ProgramMigration } from "./program.ts";
export { planCancel, planRollback } from "./rollback.ts";
export { buildCatalog, type BuildCatalogOptions } from "./shadow-catalog.ts";
export { type CatalogSnapshot, readSnapshot } from "./snapshot.ts";
export { planSquash, type SquashOptions, type SquashPlan, writeSquash } from "./squash.ts";
export { migrationStatus, type MigrationStatus, type MigrationStatusEntry } from "./status.ts";
export { type LockMode, lockModes, type TableLock } from "./table-lock.ts";
export { type Verification, verifyMigrations, type VerifyOptions, type VerifyReport } from "./verification.ts";
export { migrateTenants, type Tenant, type TenantOptions, type TenantReport, type TenantRun } from "./tenants.ts";
export { switchVersion, type VersionSwitch } from "./version-switch.ts";
