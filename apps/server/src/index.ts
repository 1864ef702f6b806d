export { ListenError, PublicAddressError, WeakTokenError } from "./errors.ts";
export { serverDefaults, type ServerOptions } from "./options.ts";
export { startServer, type StatusServer } from "./server.ts";
export type { AggregateHealth, StatusSource } from "./source.ts";
export { type OrchestratorSourceOptions, sourceFromOrchestrator } from "./orchestrator-source.ts";
