import type { PoolConfig, PoolOptions } from "./options.ts";

/** A name of this house beside the name pg gives the same thing. */
const sameThing: readonly (readonly [pgName: keyof PoolConfig, name: keyof PoolOptions])[] = [
  ["connectionString", "primaryUrl"],
  ["connectionTimeoutMillis", "acquireTimeoutMs"],
  ["idleTimeoutMillis", "idleTimeoutMs"],
  ["maxLifetimeSeconds", "maxLifetimeMs"],
  ["query_timeout", "queryTimeoutMs"],
  ["application_name", "applicationName"],
];

/**
 * Reads pg's option names into this house's, with pg's meaning of their extremes: a time-out of 0 never ends, an
 * idle time-out of 0 never closes, a maximum of 0 is the default.
 */
export function readPgNames(config: PoolConfig, problems: string[]): Partial<PoolOptions> {
  for (const [pgName, name] of sameThing) {
    if (config[pgName] !== undefined && config[name as keyof PoolConfig] !== undefined) {
      problems.push(`${pgName} and ${name} say the same thing: give one of them`);
    }
  }
  const read: { -readonly [Key in keyof PoolOptions]?: PoolOptions[Key] | undefined } = {};
  const { connectionTimeoutMillis, idleTimeoutMillis, maxLifetimeSeconds, query_timeout: queryTimeout } = config;
  if (connectionTimeoutMillis !== undefined) {
    read.acquireTimeoutMs = connectionTimeoutMillis || Infinity;
    read.connectTimeoutMs = connectionTimeoutMillis || Infinity;
  }
  if (idleTimeoutMillis !== undefined) read.idleTimeoutMs = idleTimeoutMillis || false;
  if (maxLifetimeSeconds !== undefined) read.maxLifetimeMs = maxLifetimeSeconds * 1_000 || false;
  if (queryTimeout !== undefined) read.queryTimeoutMs = queryTimeout || false;
  if (config.keepAlive === false) read.keepAliveMs = false;
  else if (config.keepAliveInitialDelayMillis !== undefined) read.keepAliveMs = config.keepAliveInitialDelayMillis;
  const poolSize = (config as { poolSize?: number }).poolSize;
  if (config.max === undefined && poolSize) read.max = poolSize;
  return read as Partial<PoolOptions>;
}
