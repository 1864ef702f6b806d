export type { BulkInsert } from "./bulk.ts";
export { classifyError, type ErrorClass, type ErrorContext } from "./classify.ts";
export type { CopySource } from "./copy.ts";
export type { DrainReport } from "./drain.ts";
export type { QueryOptions, SessionOptions } from "./engine.ts";
export {
  type AcquireTimeoutFacts,
  AcquireTimeoutError,
  CircuitOpenError,
  ConnectionLostError,
  ConnectTimeoutError,
  DoubleReleaseError,
  InvalidBulkInsertError,
  InvalidPoolOptionsError,
  NoPrimaryError,
  NoReplicaError,
  PoolClosedError,
  PoolSaturatedError,
  QueryTimeoutError,
  type ServerEvidence,
  ServerUnresponsiveError,
  SessionEndedError,
  type StatementPhase,
  TopologyRefusedError,
  TransactionOutcomeUnknownError,
  TransactionRolledBackError,
} from "./errors.ts";
export type { HistogramSnapshot } from "./histogram.ts";
export type { LeakReport } from "./leak.ts";
export type { ListenGap, ListenOptions, PoolNotification } from "./listener.ts";
export { collectPoolMetrics, type PoolMetric } from "./metrics.ts";
export {
  type CircuitBreakerOptions,
  type PoolConfig,
  poolDefaults,
  type PoolOptions,
  type ResolvedPoolOptions,
  resolvePoolOptions,
  type RetryOptions,
} from "./options.ts";
export { type AcquireOptions, createPool, Pool } from "./pool.ts";
export type { LostConnection, PoolEventMap, SlowQuery } from "./pool-events.ts";
export type { ReadYourWrites, SessionToken } from "./read-your-writes.ts";
export type { Target } from "./routing.ts";
export type { SessionHandle, StatementInput, StatementOptions } from "./session-handle.ts";
export type { PoolStats, ServerStats } from "./stats.ts";
export type { StreamOptions } from "./stream.ts";
export type { SslMode } from "./tls-mode.ts";
export type { Failover } from "./topology.ts";
export type { Transaction, TransactionOptions } from "./transaction.ts";
export type { PoolView } from "./view.ts";
