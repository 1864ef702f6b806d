import type { Flags } from "../environment.ts";
import { LegacyOptionError } from "../errors.ts";

/** Options of the old connection manager, in pg's names and units: durations are milliseconds. */
export interface ConnectionManagerConfig {
  readonly connectionString?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  readonly application_name?: string;
  /** `true` verifies the server's certificate and name; `{ rejectUnauthorized: false }` only encrypts. */
  readonly ssl?: boolean | { readonly rejectUnauthorized?: boolean };
  readonly min?: number;
  readonly max?: number;
  readonly idleTimeoutMillis?: number;
  readonly connectionTimeoutMillis?: number;
  readonly acquireTimeoutMillis?: number;
  readonly queryTimeout?: number;
  readonly statementTimeout?: number;
  readonly healthCheckInterval?: number;
  readonly maxRetries?: number;
  readonly retryDelay?: number;
  readonly readReplicaUrls?: readonly string[];
}

/** The settings that the options stand for; what is not given comes from the environment. @throws {LegacyOptionError} */
export function flagsOf(config: ConnectionManagerConfig): Flags {
  const flags: Record<string, unknown> = {
    "connection.url": config.connectionString,
    "connection.host": config.host,
    "connection.port": config.port,
    "connection.database": config.database,
    "connection.user": config.user,
    "connection.password": config.password,
    "connection.applicationName": config.application_name,
    "connection.tls.mode": tlsModeOf(config.ssl),
    "connection.replicaUrls": config.readReplicaUrls,
    "pool.min": config.min,
    "pool.max": config.max,
    "pool.idleTimeoutMs": config.idleTimeoutMillis,
    "pool.connectTimeoutMs": config.connectionTimeoutMillis,
    "pool.acquireTimeoutMs": config.acquireTimeoutMillis,
    "pool.queryTimeoutMs": config.queryTimeout ?? config.statementTimeout,
    "pool.healthCheckIntervalMs": config.healthCheckInterval,
    "pool.retry.maxRetries": config.maxRetries,
    "pool.retry.initialDelayMs": config.retryDelay,
  };
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

function tlsModeOf(ssl: ConnectionManagerConfig["ssl"]): string | undefined {
  if (ssl === undefined) return undefined;
  if (typeof ssl === "boolean") return ssl ? "verify-full" : "disable";
  const others = Object.keys(ssl).filter((key) => key !== "rejectUnauthorized");
  if (others.length > 0) {
    throw new LegacyOptionError(`ssl.${others[0]} cannot be given in the code`, {
      hint: "Name the files in DB_SSL_ROOT_CERT, DB_SSL_CERT and DB_SSL_KEY.",
    });
  }
  return ssl.rejectUnauthorized === false ? "require" : "verify-full";
}
