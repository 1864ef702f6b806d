import { type Config, toTlsOptions } from "@db/config";
import type { Logger } from "@db/core";
import type { PoolOptions } from "@db/pool";
import { NotConfiguredError } from "./errors.ts";

/**
 * The pool that a configuration asks for.
 * @throws {NotConfiguredError} when the configuration names no database
 */
export function poolOptionsOf(config: Config, logger: Logger): PoolOptions {
  const { pool, features } = config;
  const connection = connectionOf(config);
  const { retry, circuitBreaker } = pool;
  // Whoever waits for the socket and whoever waits for the statement wait for the same answer.
  const statementMs = Math.min(pool.queryTimeoutMs, pool.socketTimeoutMs);
  return {
    primaryUrl: connection.primaryUrl.reveal(),
    // Every host of the primary's URL may be the primary one day; until then it serves reads like a replica.
    replicaUrls: [...connection.fallbackUrls, ...(features.readReplicas ? connection.replicaUrls : [])].map((url) =>
      url.reveal(),
    ),
    applicationName: connection.applicationName,
    ssl: toTlsOptions(connection.tls),
    sslMode: connection.tls.mode,
    min: pool.min,
    max: pool.max,
    acquireTimeoutMs: pool.acquireTimeoutMs,
    connectTimeoutMs: pool.connectTimeoutMs,
    idleTimeoutMs: pool.idleTimeoutMs,
    maxLifetimeMs: Number.isFinite(pool.maxLifetimeMs) ? pool.maxLifetimeMs : false,
    keepAliveMs: pool.keepAliveMs,
    queryTimeoutMs: Number.isFinite(statementMs) ? statementMs : false,
    slowQueryThresholdMs: pool.slowQueryThresholdMs,
    leakThresholdMs: pool.leakThresholdMs,
    maxReplicaLagMs: pool.maxReplicaLagMs,
    maxReplicaLagBytes: pool.maxReplicaLagBytes,
    retry:
      retry === false
        ? false
        : {
            retries: retry.maxRetries,
            minDelayMs: retry.initialDelayMs,
            factor: retry.multiplier,
            maxDelayMs: retry.maxDelayMs,
          },
    circuitBreaker:
      circuitBreaker === false || !features.circuitBreaker
        ? false
        : { volumeThreshold: circuitBreaker.failureThreshold, resetMs: circuitBreaker.resetTimeoutMs },
    logger,
  };
}

/** @throws {NotConfiguredError} when the configuration names no database */
export function connectionOf(config: Config): NonNullable<Config["connection"]> {
  if (config.connection) return config.connection;
  throw new NotConfiguredError("the configuration names no database", {
    hint: "Set DATABASE_URL, or start one with: db dev",
  });
}
