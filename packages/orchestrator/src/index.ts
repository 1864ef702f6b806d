export {
  type Application,
  defineApplication,
  type DemonstrationQuery,
  type SeedOptions,
  type SeedReport,
} from "./application.ts";
export { type AuditEntry, type AuditTrail, AuditTrailBrokenError, firstBrokenEntry } from "./audit.ts";
export type { BackupCall, BackupService } from "./backup-service.ts";
export {
  NotConfiguredError,
  OrchestratorClosedError,
  ReadOnlyError,
  ServiceStartError,
  ServiceStopError,
} from "./errors.ts";
export type { EventName, Events, OrchestratorEvents } from "./events.ts";
export type { IndexCall, IndexService } from "./index-service.ts";
export type { Job, Jobs, JobState } from "./jobs.ts";
export { UnsupportedPostgresError } from "./main-job/connect-step.ts";
export { type MainJobOptions, type MainJobReport, runMainJob, type StepEvent } from "./main-job/main-job.ts";
export type { StepReport } from "./main-job/step.ts";
export type { MigrationService } from "./migration-service.ts";
export {
  type AggregateHealth,
  createOrchestrator,
  type Orchestrator,
  type OrchestratorOptions,
  type ServiceName,
} from "./orchestrator.ts";
export { RulesFileError, type ValidationCall, type ValidationService } from "./validation-service.ts";
