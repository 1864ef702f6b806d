export { selfSigned } from "./certificate.ts";
export {
  type Servers,
  startCluster,
  type StartClusterOptions,
  type TestCluster,
  type TestDatabase,
} from "./cluster.ts";
export type { FaultMode } from "./fault-pipe.ts";
export { type Direction, type FaultProxy, type ProxyTarget, startFaultProxy } from "./fault-proxy.ts";
export { grow, type Growth, type GrowthKind } from "./growth.ts";
export { missingForPatroni, type PatroniCluster, type PatroniNode, startPatroni } from "./patroni.ts";
export { missingForPgBouncer, type PgBouncer, startPgBouncer } from "./pgbouncer.ts";
export * as protocol from "./protocol.ts";
export type { ErrorFields, FrontendMessage } from "./protocol.ts";
export type { Answer, ScriptedConnection, Startup } from "./scripted-connection.ts";
export { type Script, type ScriptedServer, startScriptedServer } from "./scripted-server.ts";
export type { TestServer } from "./server.ts";
