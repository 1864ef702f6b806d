export { formatBytes, InvalidByteSizeError, parseBytes } from "./bytes.ts";
export { type Clock, systemClock } from "./clock.ts";
export { adviseOnConnection, type ConnectionAdvice } from "./connection-advice.ts";
export {
  type ClientLike,
  type Database,
  type DatabaseLike,
  type PgliteLike,
  type PoolLike,
  type Queryable,
  toDatabase,
} from "./database.ts";
export { formatDuration, InvalidDurationError, parseDurationMs } from "./duration.ts";
export { AbortedError, DbError, type DbErrorOptions, isDbError, messageOf } from "./errors.ts";
export { compareFindings, type Finding, type Severity } from "./finding.ts";
export { InvalidIdentifierError, quoteIdentifier, quoteLiteral, quoteQualified } from "./identifier.ts";
export { type LogFields, type Logger, noLogger } from "./logger.ts";
export { formatLsn, InvalidLsnError, parseLsn, walSegmentName } from "./lsn.ts";
export { type Labels, type Metrics, noMetrics } from "./metrics.ts";
export { noProgress, type OnProgress, type Progress } from "./progress.ts";
export { redactUrls } from "./secret.ts";
export { type HealthCheck, type HealthStatus, type Service, type ServiceHealth, worstStatus } from "./service.ts";
export {
  authenticationSqlStates,
  connectionErrorCodes,
  isConnectionError,
  permissionSqlStates,
  sqlStateOf,
  transientSqlStates,
  unavailableSqlStates,
  wrongRoleSqlStates,
} from "./sqlstate.ts";
