/**
 * Every name of the three platforms that callers rely on: where it lives now, and the test that proves it. Checked by
 * `old-names.test.ts` against exports, settings, commands and test files.
 */
export type OldNameRow = {
  readonly name: string;
  /** File of the proof, from the root of the repository, and words of its title. */
  readonly proof: readonly [file: string, title: string];
} & (
  | { readonly kind: "value" | "type"; readonly at: keyof typeof modules }
  /** A setting of the configuration; the default is that of production. */
  | { readonly kind: "variable"; readonly at: string; readonly default?: unknown }
  /** A figure of the old documents, as the setting that has it: by profile. */
  | { readonly kind: "figure"; readonly at: string; readonly value: Readonly<Record<string, unknown>> }
  /** A script, as the command that took its place. */
  | { readonly kind: "script"; readonly at: string }
  | { readonly kind: "endpoint"; readonly at: string }
);

export const modules = {
  "@db/legacy-compat/chanuka": "src/chanuka/index.ts",
  "@db/legacy-compat/chanuka/core": "src/chanuka/core.ts",
  "@db/legacy-compat/learning-assistant": "src/learning-assistant/index.ts",
  "@db/legacy-compat/unified-healthcare": "src/unified-healthcare/index.ts",
} as const;

const here = "packages/legacy-compat/test";
const chanuka = `${here}/chanuka.pg.test.ts`;
const pools = `${here}/pools.pg.test.ts`;
const request = `${here}/request.pg.test.ts`;
const scripts = `${here}/scripts.pg.test.ts`;
const consumers = `${here}/consumers.pg.test.ts`;
const learning = `${here}/learning-assistant.pg.test.ts`;
const healthcare = `${here}/unified-healthcare.pg.test.ts`;
const parse = "packages/config/src/parse.test.ts";

function values(
  at: keyof typeof modules,
  proof: OldNameRow["proof"],
  names: string,
  kind: "value" | "type" = "value",
): readonly OldNameRow[] {
  return names.split(" ").map((name) => ({ kind, name, at, proof }));
}

function variables(proof: OldNameRow["proof"], list: Readonly<Record<string, readonly [at: string, value?: unknown]>>) {
  return Object.entries(list).map(([name, [at, value]]): OldNameRow => ({
    kind: "variable",
    name,
    at,
    proof,
    ...(value === undefined ? {} : { default: value }),
  }));
}

const integration = "@db/legacy-compat/chanuka";
const core = "@db/legacy-compat/chanuka/core";
const dbFamily = [parse, "the DB_ family alone configures everything"] as const;
const urlFamily = [parse, "the DATABASE_URL family alone configures everything"] as const;
const sizes = [chanuka, "sizes pools and asks for TLS by environment"] as const;

export const oldNames: readonly OldNameRow[] = [
  ...values(integration, [chanuka, "queries, reads its own writes from a replica"], "getDatabaseIntegration"),
  ...values(integration, [chanuka, "gives services that work"], "getServices"),
  ...values(integration, [chanuka, "gives services that work"], "DatabaseServices MonitoringService", "type"),
  ...values(integration, [chanuka, "tells the health of every component"], "DatabaseHealthStatus", "type"),
  ...values(
    integration,
    [chanuka, "is made once, under its older name too"],
    "DatabaseConnectionPool createConnectionPool getConnectionPool closeConnectionPool",
  ),
  ...values(
    core,
    [chanuka, "is made once, under its older name too"],
    "createConnectionManager getConnectionManager closeConnectionManager",
  ),
  ...values(core, [chanuka, "made by hand takes pg's options over the environment"], "UnifiedConnectionManager"),
  ...values(core, [chanuka, "made by hand takes pg's options over the environment"], "ConnectionManagerConfig", "type"),
  ...values(core, [chanuka, "shows no password"], "getDatabaseConfig"),
  ...values(core, [chanuka, "for tests holds every environment"], "createTestDatabaseConfig"),
  ...values(
    core,
    [chanuka, "for tests holds every environment"],
    "DatabaseConfig MonitoringConfig ConnectionConfig",
    "type",
  ),
  ...values(core, [consumers, "Chanuka: repositories"], "getDatabaseOrchestrator"),
  ...values(core, [chanuka, "an orchestrator of its own initialises"], "createDatabaseOrchestrator"),
  ...values(core, [pools, "looks at the manager it is given"], "UnifiedHealthMonitor"),
  ...values(core, [pools, "is a pg pool of the environment"], "EnhancedPool"),
  ...values(core, [pools, "opens after failures in a row"], "CircuitBreaker"),
  ...values(core, [pools, "are Drizzle handles"], "readDb writeDb"),
  ...values(core, [scripts, "runs with its old context"], "BaseDatabaseScript"),
  ...values(core, [scripts, "runs with its old context"], "ScriptContext ScriptResult", "type"),
  ...values(integration, [scripts, "succeeds without a database in a dry run"], "EnhancedHealthCheckScript"),
  ...values(integration, [chanuka, "tells data, time and retries, and counts them"], "DatabaseService databaseService"),
  ...values(
    integration,
    [chanuka, "tells data, time and retries, and counts them"],
    "DatabaseResult DatabaseMetrics",
    "type",
  ),
  ...values(integration, [chanuka, "its health tells that pool's connections"], "HealthCheckResult", "type"),
  ...values(integration, sizes, "AdvancedPoolConfig"),
  ...values(integration, [pools, "connects again after a connection was refused"], "MonitoredPool"),
  ...values(integration, [request, "writes, reads what it wrote"], "BaseRepository"),
  ...values(
    integration,
    [request, "has its context, and nothing else has"],
    "requestContext getRequestContext runWithRequestContext",
  ),
  ...values(integration, [request, "is one transaction"], "transactionMiddleware"),
  ...values(integration, [request, "works in the transaction around its handler"], "withRequestTransaction"),

  ...values(
    "@db/legacy-compat/learning-assistant",
    [learning, "connects, checks, and may be called again"],
    "initializeDatabaseSystem",
  ),
  ...values("@db/legacy-compat/learning-assistant", [learning, "judges by the thresholds"], "databaseHealthMonitor"),
  ...values("@db/legacy-compat/learning-assistant", [learning, "compresses and encrypts as asked"], "createFullBackup"),
  ...values(
    "@db/legacy-compat/unified-healthcare",
    [healthcare, "connects with the options it was given"],
    "initializeDatabaseManager getDatabaseManager",
  ),

  ...variables(urlFamily, {
    DATABASE_URL: ["connection.url"],
    READ_REPLICA_URLS: ["connection.replicaUrls"],
    BACKUP_PATH: ["backup.repository"],
    BACKUP_REMOTE_STORAGE: ["features.remoteStorage", false],
    BACKUP_STORAGE_TYPE: ["backup.remote.provider"],
    BACKUP_STORAGE_BUCKET: ["backup.remote.bucket"],
    BACKUP_STORAGE_REGION: ["backup.remote.region"],
    DB_MONITORING_ENABLED: ["features.monitoring", true],
    DB_MONITORING_INTERVAL: ["monitor.intervalMs", 30_000],
    DB_VALIDATION_ENABLED: ["features.validation", true],
    DB_VALIDATION_HOURS: ["validate.hours", [2, 14]],
    DB_INDEX_OPTIMIZATION_ENABLED: ["features.indexOptimization", true],
    DB_INDEX_OPTIMIZATION_HOURS: ["indexer.hours", [3]],
  }),
  ...variables(dbFamily, {
    DB_READ_REPLICA_URL: ["connection.replicaUrls"],
    DB_HOST: ["connection.host"],
    DB_PORT: ["connection.port"],
    DB_NAME: ["connection.database"],
    DB_USER: ["connection.user"],
    DB_CONNECT_TIMEOUT: ["pool.connectTimeoutMs", 5_000],
    DB_HEALTH_CHECK_INTERVAL: ["pool.healthCheckIntervalMs", 30_000],
    BACKUP_DIR: ["backup.repository"],
    BACKUP_RETENTION_DAYS: ["backup.retention.days", 30],
    BACKUP_ENCRYPTION_KEY: ["backup.encryptionKey"],
    BACKUP_COMPRESSION: ["backup.compression"],
    CLOUD_STORAGE_ENABLED: ["features.remoteStorage", false],
    CLOUD_STORAGE_PROVIDER: ["backup.remote.provider"],
    AWS_S3_BUCKET: ["backup.remote.s3Bucket"],
    GCP_BUCKET: ["backup.remote.gcsBucket"],
    NOTIFICATION_ENABLED: ["notify.enabled", false],
    NOTIFICATION_EMAIL: ["notify.email"],
    NOTIFICATION_WEBHOOK: ["notify.webhookUrl"],
  }),
  ...variables([`${here}/environment.pg.test.ts`, "how often and how long apart"], {
    DB_MAX_RETRIES: ["pool.retry.maxRetries", 3],
    DB_RETRY_DELAY: ["pool.retry.initialDelayMs", 100],
    DB_RETRY_BACKOFF: ["pool.retry.multiplier", 2],
  }),
  ...variables([`${here}/environment.pg.test.ts`, "bound what they bounded"], {
    DB_CONNECTION_LIMIT: ["pool.max"],
    DB_POOL_TIMEOUT: ["pool.acquireTimeoutMs", 10_000],
    DB_SOCKET_TIMEOUT: ["pool.socketTimeoutMs", 60_000],
    DB_QUERY_TIMEOUT: ["pool.queryTimeoutMs", 30_000],
    DB_SLOW_QUERY_THRESHOLD: ["pool.slowQueryThresholdMs", 1_000],
  }),

  {
    kind: "figure",
    name: "fewest connections",
    at: "pool.min",
    value: { development: 2, staging: 3, production: 5 },
    proof: sizes,
  },
  {
    kind: "figure",
    name: "most connections",
    at: "pool.max",
    value: { development: 10, staging: 15, production: 50 },
    proof: sizes,
  },
  {
    kind: "figure",
    name: "health interval",
    at: "pool.healthCheckIntervalMs",
    value: { development: 30_000, production: 30_000 },
    proof: dbFamily,
  },
  {
    kind: "figure",
    name: "query time-out",
    at: "pool.queryTimeoutMs",
    value: { development: 30_000, production: 30_000 },
    proof: [`${here}/environment.pg.test.ts`, "bound what they bounded"],
  },
  ...(
    [
      ["query time, ms", "monitor.thresholds.queryMs", { warn: 1_000, critical: 5_000 }],
      ["connection use, percent", "monitor.thresholds.connectionPercent", { warn: 70, critical: 90 }],
      ["storage, percent", "monitor.thresholds.storagePercent", { warn: 80, critical: 95 }],
      ["cache hit, percent", "monitor.thresholds.cacheHitPercent", { warn: 99 }],
      ["full backups", "backup.schedule.full", "0 2 * * *"],
      ["first pause before a retry, ms", "pool.retry.initialDelayMs", 100],
      ["largest pause between retries, ms", "pool.retry.maxDelayMs", 5_000],
      ["hours of validation", "validate.hours", [2, 14]],
      ["hours of index optimisation", "indexer.hours", [3]],
    ] as const
  ).map(([name, at, value]): OldNameRow => ({
    kind: "figure",
    name,
    at,
    value: { production: value },
    proof: [`${here}/old-names.test.ts`, "has its value"],
  })),
  {
    kind: "figure",
    name: "incremental backups",
    at: "backup.schedule.incremental",
    // Production was promised a backup every hour.
    value: { staging: "0 */6 * * *", production: "0 * * * *" },
    proof: [`${here}/old-names.test.ts`, "has its value"],
  },
  {
    kind: "figure",
    name: "production retention",
    at: "backup.retention",
    value: { production: { hourly: 24, daily: 30 }, staging: { days: 14 }, development: { days: 7 } },
    proof: [parse, "production keeps hourly, daily, weekly and monthly backups"],
  },

  ...(
    [
      [
        "db:validate-migration",
        "db:validate-migration",
        "apps/cli/test/verify.pg.test.ts",
        "answers to the old script names",
      ],
      [
        "db:verify-alignment",
        "db:verify-alignment",
        "apps/cli/test/verify.pg.test.ts",
        "answers to the old script names",
      ],
      ["db:verify-all", "db:verify-all", "apps/cli/test/verify.pg.test.ts", "answers to the old script names"],
      ["scripts/database/setup.ts", "setup", "apps/cli/test/conventions.pg.test.ts", "setup is init"],
      [
        "scripts/database/initialize-database-integration.ts",
        "init",
        "apps/cli/test/conventions.pg.test.ts",
        "setup is init",
      ],
      [
        "scripts/database/migrate.ts",
        "migrate up",
        "apps/cli/test/conventions.pg.test.ts",
        "changes nothing with --dry-run",
      ],
      ["scripts/database/health-check.ts", "health-check", "apps/cli/test/conventions.pg.test.ts", "a form for Nagios"],
      [
        "scripts/database/backup.ts, db-backup.sh",
        "backup run",
        "apps/cli/test/conventions.pg.test.ts",
        "changes nothing with --dry-run",
      ],
      [
        "scripts/database/validate.ts",
        "validate",
        "apps/cli/test/conventions.pg.test.ts",
        "answers with exactly one JSON object",
      ],
      [
        "scripts/database/optimize.ts",
        "optimize",
        "apps/cli/test/conventions.pg.test.ts",
        "answers with exactly one JSON object",
      ],
      ["db-restore.sh", "restore run", "apps/cli/test/conventions.pg.test.ts", "changes nothing with --dry-run"],
      [
        "scripts/database/reset.ts, reset-consolidated --force --migrate",
        "reset",
        "apps/cli/test/migrate.pg.test.ts",
        "proves a baseline, tells drift and broken promises, and repairs",
      ],
      ["crontab", "schedule", "apps/cli/test/schedule.pg.test.ts", "runs jobs until it is stopped"],
      ["db-monitor.sh", "report", "apps/cli/test/conventions.pg.test.ts", "answers with exactly one JSON object"],
    ] as const
  ).map(([name, at, file, title]): OldNameRow => ({ kind: "script", name, at, proof: [file, title] })),

  {
    kind: "endpoint",
    name: "GET /api/health/database",
    at: "/api/health/database",
    proof: ["apps/server/test/server.test.ts", "answer 200 while the database is well"],
  },
  {
    kind: "endpoint",
    name: "GET /api/health/database/metrics",
    at: "/api/health/database/metrics",
    proof: ["apps/server/test/server.test.ts", "give Prometheus text"],
  },
];

/** Old scripts that nothing has taken the place of yet. */
export const notYet: readonly string[] = [
  "scripts/database/consolidate-database-infrastructure.ts",
  "db-restore.sh --file F",
];
