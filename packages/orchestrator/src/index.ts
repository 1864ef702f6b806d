export {
  type Application,
  defineApplication,
  type DemonstrationQuery,
  type SeedOptions,
  type SeedReport,
} from "./application.ts";
export { type AuditEntry, type AuditTrail, AuditTrailBrokenError } from "./audit.ts";
export {
  NotConfiguredError,
  OrchestratorClosedError,
  ReadOnlyError,
  ServiceStartError,
  ServiceStopError,
} from "./errors.ts";
export type { EventName, Events, OrchestratorEvents } from "./events.ts";
