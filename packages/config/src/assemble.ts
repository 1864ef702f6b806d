import type { Config, ConnectionConfig, Threshold } from "./config.ts";
import { bucketOf } from "./contradictions.ts";
import type { Profile } from "./profile.ts";
import type { Resolution } from "./resolve.ts";
import { Secret } from "./secret.ts";
import { showValue } from "./show.ts";

/** Puts resolved settings into the shape that the services take, frozen to the bottom. */
export function assembleConfig(
  resolution: Resolution,
  profile: Profile,
  connection: ConnectionConfig | undefined,
): Config {
  // Each value has passed the schema of its setting, which is what makes these assertions true.
  const get = <T>(key: string): T => resolution.get(key)!.value as T;
  const secret = (key: string): Secret | undefined => {
    const { value, setting } = resolution.get(key)!;
    return typeof value === "string" ? new Secret(value, showValue(setting, value)) : undefined;
  };
  const threshold = (name: string): Threshold => ({
    warn: get(`monitor.thresholds.${name}.warn`),
    critical: get(`monitor.thresholds.${name}.critical`),
  });
  const features: Config["features"] = {
    readReplicas: get("features.readReplicas"),
    circuitBreaker: get("features.circuitBreaker"),
    monitoring: get("features.monitoring"),
    validation: get("features.validation"),
    indexOptimization: get("features.indexOptimization"),
    remoteStorage: get("features.remoteStorage"),
  };
  return deepFreeze<Config>({
    profile,
    connection,
    pool: {
      min: get("pool.min"),
      max: get("pool.max"),
      acquireTimeoutMs: get("pool.acquireTimeoutMs"),
      connectTimeoutMs: get("pool.connectTimeoutMs"),
      socketTimeoutMs: get("pool.socketTimeoutMs"),
      idleTimeoutMs: get("pool.idleTimeoutMs"),
      maxLifetimeMs: get("pool.maxLifetimeMs"),
      queryTimeoutMs: get("pool.queryTimeoutMs"),
      slowQueryThresholdMs: get("pool.slowQueryThresholdMs"),
      keepAliveMs: get("pool.keepAliveMs"),
      retry: get<number>("pool.retry.maxRetries") > 0 && {
        maxRetries: get("pool.retry.maxRetries"),
        initialDelayMs: get("pool.retry.initialDelayMs"),
        maxDelayMs: get("pool.retry.maxDelayMs"),
        multiplier: get("pool.retry.multiplier"),
      },
      circuitBreaker: features.circuitBreaker && {
        failureThreshold: get("pool.circuitBreaker.failureThreshold"),
        resetTimeoutMs: get("pool.circuitBreaker.resetTimeoutMs"),
      },
      healthCheckIntervalMs: get("pool.healthCheckIntervalMs"),
      leakThresholdMs: get("pool.leakThresholdMs"),
      maxReplicaLagMs: get("pool.maxReplicaLagMs"),
      maxReplicaLagBytes: get("pool.maxReplicaLagBytes"),
    },
    migrate: {
      directory: get("migrate.directory"),
      schema: get("migrate.schema"),
      table: get("migrate.table"),
      lockTimeoutMs: get("migrate.lockTimeoutMs"),
      statementTimeoutMs: get("migrate.statementTimeoutMs"),
    },
    backup: {
      repository: get("backup.repository"),
      restoreDirectory: get("backup.restoreDirectory"),
      compression: get("backup.compression"),
      encryptionKey: secret("backup.encryptionKey"),
      retention: {
        days: get("backup.retention.days"),
        hourly: get("backup.retention.hourly"),
        daily: get("backup.retention.daily"),
        weekly: get("backup.retention.weekly"),
        monthly: get("backup.retention.monthly"),
        minVerified: get("backup.retention.minVerified"),
      },
      schedule: { full: get("backup.schedule.full"), incremental: get("backup.schedule.incremental") },
      remote: features.remoteStorage && {
        provider: get("backup.remote.provider"),
        bucket: bucketOf(resolution) ?? "",
        region: get("backup.remote.region"),
      },
    },
    monitor: {
      enabled: features.monitoring,
      intervalMs: get("monitor.intervalMs"),
      history: get("monitor.history"),
      allDatabases: get("monitor.allDatabases"),
      thresholds: {
        queryMs: threshold("queryMs"),
        connectionPercent: threshold("connectionPercent"),
        storagePercent: threshold("storagePercent"),
        cacheHitPercent: { warn: get("monitor.thresholds.cacheHitPercent.warn") },
      },
      schedule: {
        health: get("monitor.schedule.health"),
        dailyReport: get("monitor.schedule.dailyReport"),
        weeklyReport: get("monitor.schedule.weeklyReport"),
      },
    },
    validate: {
      enabled: features.validation,
      hours: [...get<readonly number[]>("validate.hours")],
      rulesFile: get("validate.rulesFile"),
    },
    indexer: { enabled: features.indexOptimization, hours: [...get<readonly number[]>("indexer.hours")] },
    notify: {
      enabled: get("notify.enabled"),
      email: get<readonly string[] | undefined>("notify.email") ?? [],
      smtpUrl: secret("notify.smtpUrl"),
      webhookUrl: secret("notify.webhookUrl"),
    },
    server: {
      host: get("server.host"),
      port: get("server.port"),
      tokens: get<readonly string[]>("server.tokens").map((token) => new Secret(token)),
      adminActions: [...get<readonly string[]>("server.adminActions")],
    },
    features,
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Secret) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
