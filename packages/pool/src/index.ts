export type { LoadBalance } from "./balance.ts";
export type { BulkInsert } from "./bulk.ts";
export { classifyError, type ErrorClass, type ErrorContext } from "./classify.ts";
export type { Consistency } from "./consistency.ts";
export type { CopySource } from "./copy.ts";
export { type AcquireTrace, type ConnectTrace, poolChannels, type QueryTrace } from "./diagnostics.ts";
export type { DrainReport } from "./drain.ts";
export type { QueryOptions, SessionOptions } from "./engine.ts";
export {
  type AcquireTimeoutFacts,
  AcquireTimeoutError,
  CircuitOpenError,
  ConnectionLostError,
  ConnectionReclaimedError,
  ConnectTimeoutError,
  DoubleReleaseError,
  InvalidBulkInsertError,
  InvalidCacheOptionsError,
  InvalidCallOptionsError,
  InvalidPoolOptionsError,
  InvalidProviderOptionsError,
  InvalidSessionTokenError,
  InvalidSettingError,
  NoPrimaryError,
  NoReplicaError,
  OfflineError,
  PoolClosedError,
  PoolPausedError,
  PoolSaturatedError,
  QueryTimeoutError,
  ProviderError,
  type ServerEvidence,
  ServerLeftError,
  ServerUnresponsiveError,
  SessionEndedError,
  SessionStateError,
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
export { patroni, type PatroniOptions } from "./patroni.ts";
export { type AcquireOptions, createPool, Pool } from "./pool.ts";
export type { LostConnection, PoolEventMap, SlowQuery } from "./pool-events.ts";
export {
  type CachedAnswer,
  type CachedQueryOptions,
  type CacheSource,
  createQueryCache,
  type Invalidation,
  QueryCache,
  type QueryCacheOptions,
  type QueryCacheStats,
} from "./query-cache.ts";
export type { ReadYourWrites } from "./read-your-writes.ts";
export type { Target } from "./routing.ts";
export type { WeightedReplica } from "./server-spec.ts";
export type { OwnedSession, SessionHandle, StatementInput, StatementOptions } from "./session-handle.ts";
export { decodeSessionToken, encodeSessionToken, type SessionToken } from "./session-token.ts";
export type { SqlTags } from "./sql-comment.ts";
export type { PoolStats, ServerStats } from "./stats.ts";
export type { StreamOptions } from "./stream.ts";
export type { TargetSessionAttrs } from "./target-session.ts";
export type { SslMode } from "./tls-mode.ts";
export type { Failover, MembershipChange } from "./topology.ts";
export type { ProviderStats, TopologyMember, TopologyProvider } from "./topology-provider.ts";
export type { Transaction, TransactionOptions } from "./transaction.ts";
export type { PoolView } from "./view.ts";
export type { Priority } from "./wait-queue.ts";
