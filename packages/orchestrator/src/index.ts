export {
  type Application,
  defineApplication,
  type DemonstrationQuery,
  type SeedOptions,
  type SeedReport,
} from "./application.ts";
export { type AuditEntry, type AuditTrail, type OnBehalf, AuditTrailBrokenError, firstBrokenEntry } from "./audit.ts";
export type { BackupCall, BackupService, BackupWish } from "./backup-service.ts";
export { type DumpService, isDumpLabel } from "./dump-service.ts";
export {
  JobRunningError,
  NotConfiguredError,
  OrchestratorClosedError,
  ReadOnlyError,
  ScriptInterruptedError,
  ScriptTimeoutError,
  ScriptUsageError,
  ServiceStartError,
  ServiceStopError,
} from "./errors.ts";
export { databaseArrived, ensureDatabase } from "./database-creation.ts";
export type { EventName, Events, OrchestratorEvents } from "./events.ts";
export type { IndexCall, IndexService } from "./index-service.ts";
export type { Job, Jobs, JobState } from "./jobs.ts";
export { UnsupportedPostgresError } from "./main-job/connect-step.ts";
export { type MainJobOptions, type MainJobReport, runMainJob, type StepEvent } from "./main-job/main-job.ts";
export type { StepReport } from "./main-job/step.ts";
export type { ResetPlan } from "./database-reset.ts";
export type { MigrationApplyOptions, MigrationService } from "./migration-service.ts";
export {
  type AggregateHealth,
  createOrchestrator,
  type Orchestrator,
  type OrchestratorOptions,
  type ServiceName,
} from "./orchestrator.ts";
export type { ReportService } from "./report-service.ts";
export type { AlertService } from "./alert-service.ts";
export type { SessionEnd, SessionName, SessionService } from "./session-service.ts";
export type {
  ScriptArgument,
  ScriptContext,
  ScriptDefinition,
  ScriptFlag,
  ScriptHost,
  ScriptOptions,
  ScriptOutcome,
  ScriptResult,
} from "./script/definition.ts";
export { scriptExitCode } from "./script/exit-code.ts";
export { defineScript, type Script } from "./script/script.ts";
export { withProcessSignals } from "./script/signals.ts";
export { standingFindings } from "./standing.ts";
export { RulesFileError, type ValidationCall, type ValidationService } from "./validation-service.ts";
export type { WalArchiveState, WalReceiveCall, WalService } from "./wal-service.ts";
export { type AlignmentCheck, checkAlignment } from "./verify/alignment.ts";
export {
  findingsOfProofs,
  type RecommendationName,
  type RecommendationProof,
  type Verdict,
} from "./verify/recommendation.ts";
export { verifyRecommendations, type VerifyOptions } from "./verify/verify.ts";

// What an app shows of the features, so that it needs this package alone.
export type {
  BackupInfo,
  BackupReport,
  DrillReport,
  DumpInfo,
  DumpRestorePlan,
  RecoveryWindow,
  RestorePlan,
  RetainedObject,
  RetentionPolicy,
  VerifyReport,
  WalGap,
} from "@db/backup";
export { describeRestorePlan } from "@db/backup";
export type { IndexRecommendation, IndexReport } from "@db/indexer";
export {
  type ColumnChange,
  formatCatalogDifferences,
  formatMigrationPlan,
  type MigrationPlan,
  type MigrationReport,
  type MigrationStatus,
  type OnlinePhase,
  type RepairPlan,
  type LintReport,
  type ReversalReport,
  type SquashPlan,
} from "@db/migrate";
export {
  type Alert,
  type AlertFinding,
  buildGrafanaDashboard,
  buildReport,
  type CellKind,
  connections,
  defaultRules,
  type InspectCell,
  type InspectColumn,
  type InspectReport,
  inspections,
  keySeries,
  metricRegistry,
  type Monitor,
  renderPrometheus,
  renderPrometheusRules,
  renderReportHtml,
  renderReportText,
  replication,
  samplesOf,
  type Silence,
  type SilenceRequest,
  type Snapshot,
  type StatementPlan,
  type StatementPlanNode,
  topQueries,
  type TopQuery,
  valueOf,
  writeOpenMetrics,
  writePrometheus,
} from "@db/monitor";
export type { ValidationReport, ValidationRule } from "@db/validate";
