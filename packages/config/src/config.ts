import type { Profile } from "./profile.ts";
import type { Secret } from "./secret.ts";
import type { TlsConfig } from "./tls.ts";

/**
 * The whole configuration: plain frozen data in the shape that the services take. Durations are milliseconds, sizes
 * bytes; `false` is off and `Infinity` no limit; secrets show redacted.
 */
export interface Config {
  readonly profile: Profile;
  /** `undefined` when nothing says where the database is and `requireConnection` is `false`. */
  readonly connection: ConnectionConfig | undefined;
  readonly pool: PoolConfig;
  readonly migrate: MigrateConfig;
  readonly backup: BackupConfig;
  readonly monitor: MonitorConfig;
  readonly validate: ValidateConfig;
  readonly indexer: IndexerConfig;
  readonly notify: NotifyConfig;
  readonly server: ServerConfig;
  readonly features: FeatureFlags;
}

export type TargetSessionAttributes = "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby";

export interface ConnectionConfig {
  /**
   * The complete URL of the (first) primary, password and TLS mode included, in the form that node-postgres reads.
   * What `prefer` and `allow` mean cannot be said there: take `tls` as well.
   */
  readonly primaryUrl: Secret;
  /** Complete URLs of the further hosts of the primary's URL, in order: each may be the primary one day. */
  readonly fallbackUrls: readonly Secret[];
  /** Complete URLs of the replicas. */
  readonly replicaUrls: readonly Secret[];
  readonly applicationName: string;
  readonly tls: TlsConfig;
  /** Host of the primary, or its socket directory. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly targetSessionAttributes: TargetSessionAttributes;
}

export interface PoolConfig {
  readonly min: number;
  readonly max: number;
  readonly acquireTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly socketTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
  readonly queryTimeoutMs: number;
  readonly slowQueryThresholdMs: number | false;
  readonly keepAliveMs: number | false;
  readonly retry: RetryConfig | false;
  readonly circuitBreaker: CircuitBreakerConfig | false;
  readonly healthCheckIntervalMs: number | false;
  readonly leakThresholdMs: number | false;
  readonly maxReplicaLagMs: number;
  readonly maxReplicaLagBytes: number;
}

export interface RetryConfig {
  readonly maxRetries: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
}

export interface CircuitBreakerConfig {
  readonly failureThreshold: number;
  readonly resetTimeoutMs: number;
}

export interface MigrateConfig {
  readonly directory: string;
  readonly schema: string;
  readonly table: string;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/** How many of each tier are kept, beside every backup of the last `days`. */
export interface RetentionConfig {
  readonly days: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly minVerified: number;
}

export interface RemoteStorageConfig {
  readonly provider: "s3" | "gcs" | "azure";
  readonly bucket: string;
  readonly region: string | undefined;
}

export interface BackupConfig {
  /** A folder or the URL of a storage. */
  readonly repository: string;
  /** Below it lies what is restored over HTTP; undefined lets nobody. */
  readonly restoreDirectory: string | undefined;
  readonly compression: "zstd" | "gzip" | "none";
  readonly encryptionKey: Secret | undefined;
  readonly retention: RetentionConfig;
  /** Five cron fields. */
  readonly schedule: { readonly full: string | false; readonly incremental: string | false };
  readonly remote: RemoteStorageConfig | false;
}

export interface Threshold {
  readonly warn: number;
  readonly critical: number;
}

export interface MonitorConfig {
  readonly enabled: boolean;
  readonly intervalMs: number;
  /** Whether hourly values outlive the process, in a table of the database. */
  readonly history: boolean;
  readonly allDatabases: boolean;
  readonly thresholds: {
    readonly queryMs: Threshold;
    /** Share of max_connections. */
    readonly connectionPercent: Threshold;
    readonly storagePercent: Threshold;
    /** A ratio below this is a warning. */
    readonly cacheHitPercent: { readonly warn: number };
  };
  /** Five cron fields each. */
  readonly schedule: {
    readonly health: string | false;
    readonly dailyReport: string | false;
    readonly weeklyReport: string | false;
  };
}

export interface ValidateConfig {
  readonly enabled: boolean;
  /** Hours of the day, 0 to 23, ascending. */
  readonly hours: readonly number[];
  readonly rulesFile: string | undefined;
}

export interface IndexerConfig {
  readonly enabled: boolean;
  /** Hours of the day, 0 to 23, ascending. */
  readonly hours: readonly number[];
}

export interface NotifyConfig {
  readonly enabled: boolean;
  readonly email: readonly string[];
  readonly smtpUrl: Secret | undefined;
  readonly webhookUrl: Secret | undefined;
}

export interface ServerConfig {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly tokens: readonly Secret[];
  readonly adminActions: readonly string[];
}

export interface FeatureFlags {
  readonly readReplicas: boolean;
  readonly circuitBreaker: boolean;
  readonly monitoring: boolean;
  readonly validation: boolean;
  readonly indexOptimization: boolean;
  readonly remoteStorage: boolean;
}

/** A number of milliseconds, or a text with its unit: "30s". */
type Written<T> = T extends Secret
  ? string
  : T extends number
    ? number | string
    : T extends boolean | string
      ? T
      : T extends readonly (infer Item)[]
        ? readonly Written<Item>[]
        : T extends object
          ? { readonly [Key in keyof T]?: Written<T[Key]> | undefined }
          : T;

/** The connection as a file writes it: a URL, or its parts. */
export interface ConnectionFile {
  readonly url?: string | undefined;
  readonly replicaUrls?: readonly string[] | undefined;
  readonly service?: string | undefined;
  readonly serviceFile?: string | undefined;
  readonly host?: string | undefined;
  readonly hostAddress?: string | undefined;
  readonly port?: number | string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly database?: string | undefined;
  readonly applicationName?: string | undefined;
  readonly options?: string | undefined;
  readonly targetSessionAttributes?: TargetSessionAttributes | undefined;
  readonly tls?:
    | {
        readonly mode?: TlsConfig["mode"] | undefined;
        readonly allowInsecure?: boolean | undefined;
        readonly caFile?: string | undefined;
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
      }
    | undefined;
}

/** What `db.config.ts` exports: any part of the configuration. */
export type ConfigFile = Omit<Written<Omit<Config, "connection" | "backup">>, "profile"> & {
  readonly $schema?: string | undefined;
  readonly profile?: Profile | undefined;
  readonly connection?: ConnectionFile | undefined;
  readonly backup?:
    | (Omit<Written<BackupConfig>, "remote"> & {
        readonly remote?:
          | false
          | {
              readonly provider?: RemoteStorageConfig["provider"] | undefined;
              readonly bucket?: string | undefined;
              readonly s3Bucket?: string | undefined;
              readonly gcsBucket?: string | undefined;
              readonly region?: string | undefined;
            }
          | undefined;
      })
    | undefined;
};

/** Gives `db.config.ts` its types; returns its argument. */
export function defineConfig(config: ConfigFile): ConfigFile {
  return config;
}
