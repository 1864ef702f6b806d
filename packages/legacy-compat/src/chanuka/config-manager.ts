import { type Config, type FeatureFlags, type Profile, profiles, toTlsOptions } from "@db/config";
import { profileDefaults } from "../environment.ts";
import { processHost } from "../host.ts";
import { recordUse } from "../use.ts";

/** A connection in pg's names: what `new Pool` of pg takes. Durations are milliseconds. */
export interface ConnectionConfig {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Does not show when the object is printed, copied or serialised. */
  readonly password: string;
  readonly min: number;
  readonly max: number;
  readonly idleTimeoutMillis: number;
  readonly connectionTimeoutMillis: number;
  readonly acquireTimeoutMillis: number;
  readonly queryTimeout: number;
  readonly ssl: false | object;
  /** With their passwords; does not show when the object is printed. */
  readonly readReplicaUrls: readonly string[];
}

export interface MonitoringConfig {
  readonly enabled: boolean;
  /** Milliseconds. */
  readonly checkInterval: number;
  readonly alertThresholds: {
    /** Share of the server's connections, 0 to 1. */
    readonly connectionUtilization: number;
    /** Milliseconds. */
    readonly queryLatency: number;
    /** Share of the storage, 0 to 1. */
    readonly diskUsage: number;
  };
}

export interface BackupConfig {
  readonly enabled: boolean;
  /** Five cron fields; undefined when none is scheduled. */
  readonly schedule: string | undefined;
  readonly retentionDays: number;
  readonly compressionEnabled: boolean;
  readonly encryptionEnabled: boolean;
  readonly path: string;
}

export interface MigrationConfig {
  readonly migrationsPath: string;
  readonly tableName: string;
  readonly schemaName: string;
}

export interface FeatureConfig {
  readonly readReplicas: boolean;
  readonly circuitBreaker: boolean;
  readonly healthMonitoring: boolean;
  readonly validation: boolean;
  readonly indexOptimization: boolean;
}

export interface EnvironmentConfig {
  readonly connection: ConnectionConfig;
  readonly features: FeatureConfig;
  readonly monitoring: MonitoringConfig;
  readonly backup: BackupConfig;
}

export interface DatabaseConfig {
  readonly environments: Readonly<Record<Profile, EnvironmentConfig>>;
  readonly features: FeatureConfig;
  readonly operations: {
    readonly migration: MigrationConfig;
    readonly monitoring: MonitoringConfig;
    readonly backup: BackupConfig;
  };
}

/** Answers from the configuration of the process, read anew until the services run. */
export class DatabaseConfigManager {
  readonly #read: () => Config;

  /** @internal made by `getDatabaseConfig` */
  constructor(read: () => Config) {
    this.#read = read;
  }

  /** @throws {ConfigError} with every problem there is */
  getConnectionConfig(): ConnectionConfig {
    return connectionConfig(this.#read());
  }

  getMonitoringConfig(): MonitoringConfig {
    return monitoringConfig(this.#read());
  }

  getBackupConfig(): BackupConfig {
    return backupConfig(this.#read());
  }

  getMigrationConfig(): MigrationConfig {
    return migrationConfig(this.#read());
  }

  getCurrentEnvironmentConfig(): EnvironmentConfig {
    return environmentConfig(this.#read());
  }

  /** `development`, `test`, `staging` or `production`. */
  getCurrentEnvironment(): Profile {
    return this.#read().profile;
  }

  isFeatureEnabled(feature: keyof FeatureConfig): boolean {
    return featureConfig(this.#read().features)[feature];
  }
}

/** The configuration of the process. */
export function getDatabaseConfig(): DatabaseConfigManager {
  recordUse("getDatabaseConfig");
  return new DatabaseConfigManager(() => processHost.config);
}

/** What each environment sets by itself, without the variables of this process, for tests. */
export function createTestDatabaseConfig(): DatabaseConfig {
  recordUse("createTestDatabaseConfig");
  const environments = Object.fromEntries(
    profiles.map((profile) => [profile, environmentConfig(profileDefaults(profile))]),
  ) as Record<Profile, EnvironmentConfig>;
  const defaults = profileDefaults("test");
  return {
    environments,
    features: featureConfig(defaults.features),
    operations: {
      migration: migrationConfig(defaults),
      monitoring: monitoringConfig(defaults),
      backup: backupConfig(defaults),
    },
  };
}

function environmentConfig(config: Config): EnvironmentConfig {
  return {
    connection: connectionConfig(config),
    features: featureConfig(config.features),
    monitoring: monitoringConfig(config),
    backup: backupConfig(config),
  };
}

function connectionConfig({ connection, pool, profile }: Config): ConnectionConfig {
  const shown = {
    host: connection?.host ?? "localhost",
    port: connection?.port ?? 5432,
    database: connection?.database ?? `chanuka_${profile}`,
    user: connection?.user ?? "postgres",
    min: pool.min,
    max: pool.max,
    idleTimeoutMillis: pool.idleTimeoutMs,
    connectionTimeoutMillis: pool.connectTimeoutMs,
    acquireTimeoutMillis: pool.acquireTimeoutMs,
    queryTimeout: pool.queryTimeoutMs,
    ssl: connection ? toTlsOptions(connection.tls) : false,
  };
  const url = connection === undefined ? undefined : new URL(connection.primaryUrl.reveal());
  return Object.defineProperties(shown, {
    password: { value: decodeURIComponent(url?.password ?? ""), enumerable: false },
    readReplicaUrls: { value: (connection?.replicaUrls ?? []).map((each) => each.reveal()), enumerable: false },
  }) as unknown as ConnectionConfig;
}

function monitoringConfig({ monitor, features }: Config): MonitoringConfig {
  const { connectionPercent, queryMs, storagePercent } = monitor.thresholds;
  return {
    enabled: monitor.enabled && features.monitoring,
    checkInterval: monitor.intervalMs,
    alertThresholds: {
      connectionUtilization: connectionPercent.warn / 100,
      queryLatency: queryMs.warn,
      diskUsage: storagePercent.warn / 100,
    },
  };
}

function backupConfig({ backup }: Config): BackupConfig {
  return {
    enabled: backup.schedule.full !== false,
    schedule: backup.schedule.full === false ? undefined : backup.schedule.full,
    retentionDays: backup.retention.days,
    compressionEnabled: backup.compression !== "none",
    encryptionEnabled: backup.encryptionKey !== undefined,
    path: backup.repository,
  };
}

function migrationConfig({ migrate }: Config): MigrationConfig {
  return { migrationsPath: migrate.directory, tableName: migrate.table, schemaName: migrate.schema };
}

function featureConfig(features: FeatureFlags): FeatureConfig {
  const { readReplicas, circuitBreaker, monitoring, validation, indexOptimization } = features;
  return { readReplicas, circuitBreaker, healthMonitoring: monitoring, validation, indexOptimization };
}
