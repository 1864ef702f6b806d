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

/** Names without a default of their own, and those of pg that its clients and its pool read. */
const otherNames =
  "primaryUrl targetSessionAttrs applicationName ssl sslMode password user database host port connectionString keepAlive " +
  "keepAliveInitialDelayMillis statement_timeout lock_timeout query_timeout idle_in_transaction_session_timeout " +
  "application_name fallback_application_name client_encoding types options stream binary enableChannelBinding " +
  "sslnegotiation replication connection connectionTimeoutMillis idleTimeoutMillis maxLifetimeSeconds poolSize log Promise " +
  "Client onConnect verify parseInputDatesAsUTC scramMaxIterations";

/** A name that is none is a slip: the default it leaves in force would be nobody's wish. */
export function checkNames(config: PoolConfig, withDefaults: readonly string[], problems: string[]): void {
  const known = new Set([...withDefaults, ...otherNames.split(" ")]);
  for (const [name, value] of Object.entries(config)) {
    if (value !== undefined && !known.has(name)) problems.push(`${name} is not an option`);
  }
}

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
