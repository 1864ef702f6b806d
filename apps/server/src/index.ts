export type { ActionArguments, ActionPlan, ActionRun, AdminAction } from "./admin/action.ts";
export { ActionRefusedError, ListenError, PublicAddressError, WeakTokenError } from "./errors.ts";
export { serverDefaults, type ServerOptions } from "./options.ts";
export { startServer, type StatusServer } from "./server.ts";
export type { AggregateHealth, ListAnswer, ListName, PageRequest, SeriesRequest, StatusSource } from "./source.ts";
export type { Scope } from "./scope.ts";
export { type OrchestratorSourceOptions, sourceFromOrchestrator } from "./orchestrator-source.ts";
