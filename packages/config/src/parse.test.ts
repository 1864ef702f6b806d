import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { ConfigError, type Problem, UnknownSettingError } from "./errors.ts";
import { type ConfigSources, type LoadedConfig, parseConfig } from "./parse.ts";
import type { Profile } from "./profile.ts";

type Variables = Readonly<Record<string, string>>;

const load = (environment: Variables, rest: ConfigSources = {}): LoadedConfig =>
  parseConfig({ requireConnection: false, environment, ...rest });

function problemsOf(environment: Variables, rest: ConfigSources = {}): readonly Problem[] {
  try {
    load(environment, rest);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const ids = ({ warnings }: LoadedConfig): readonly string[] => warnings.map(({ id }) => id);

describe("the variables of the old platforms", () => {
  test("the DB_ family alone configures everything", () => {
    const { config, warnings } = load({
      DB_HOST: "db",
      DB_PORT: "5433",
      DB_NAME: "unified",
      DB_USER: "app",
      DB_PASSWORD: "swordfish",
      DB_READ_REPLICA_URL: "postgres://replica/unified",
      DB_CONNECTION_LIMIT: "12",
      DB_POOL_TIMEOUT: "11",
      DB_CONNECT_TIMEOUT: "6",
      DB_SOCKET_TIMEOUT: "61",
      DB_QUERY_TIMEOUT: "30001",
      DB_SLOW_QUERY_THRESHOLD: "1001",
      DB_MAX_RETRIES: "4",
      DB_RETRY_DELAY: "1000",
      DB_RETRY_BACKOFF: "1.5",
      DB_HEALTH_CHECK_INTERVAL: "30002",
      BACKUP_DIR: "/backups",
      BACKUP_RETENTION_DAYS: "31",
      BACKUP_ENCRYPTION_KEY: "correct horse",
      BACKUP_COMPRESSION: "gzip",
      CLOUD_STORAGE_ENABLED: "true",
      CLOUD_STORAGE_PROVIDER: "gcp",
      AWS_S3_BUCKET: "",
      GCP_BUCKET: "bucket",
      NOTIFICATION_ENABLED: "true",
      NOTIFICATION_EMAIL: "a@example.com, b@example.com",
      NOTIFICATION_WEBHOOK: "https://hooks.example.com/T0/B0/xyz",
    });
    expect(warnings).toEqual([]);
    expect(config.connection).toMatchObject({ host: "db", port: 5433, database: "unified", user: "app" });
    expect(config.connection!.primaryUrl.reveal()).toBe("postgres://app:swordfish@db:5433/unified?sslmode=disable");
    expect(config.connection!.replicaUrls.map((url) => url.reveal())).toEqual([
      "postgres://app:swordfish@replica:5432/unified?sslmode=disable",
    ]);
    expect(config.pool).toMatchObject({
      max: 12,
      acquireTimeoutMs: 11_000,
      connectTimeoutMs: 6_000,
      socketTimeoutMs: 61_000,
      queryTimeoutMs: 30_001,
      slowQueryThresholdMs: 1_001,
      healthCheckIntervalMs: 30_002,
      retry: { maxRetries: 4, initialDelayMs: 1_000, maxDelayMs: 5_000, multiplier: 1.5 },
    });
    expect(config.backup).toMatchObject({ repository: "/backups", compression: "gzip", retention: { days: 31 } });
    expect(config.backup.encryptionKey!.reveal()).toBe("correct horse");
    expect(config.backup.remote).toEqual({ provider: "gcs", bucket: "bucket", region: undefined });
    expect(config.notify).toMatchObject({ enabled: true, email: ["a@example.com", "b@example.com"] });
    expect(String(config.notify.webhookUrl)).toBe("https://hooks.example.com/***");
  });

  test("the DATABASE_URL family alone configures everything", () => {
    const { config, warnings } = load({
      DATABASE_URL: "postgresql://app:swordfish@db/app",
      READ_REPLICA_URLS: "postgres://r1/app,postgres://r2:5433/app",
      BACKUP_PATH: "./backups",
      BACKUP_REMOTE_STORAGE: "true",
      BACKUP_STORAGE_TYPE: "aws-s3",
      BACKUP_STORAGE_BUCKET: "bucket",
      BACKUP_STORAGE_REGION: "us-east-1",
      DB_MONITORING_ENABLED: "true",
      DB_MONITORING_INTERVAL: "15000",
      DB_VALIDATION_ENABLED: "true",
      DB_VALIDATION_HOURS: "14,2",
      DB_INDEX_OPTIMIZATION_ENABLED: "false",
      DB_INDEX_OPTIMIZATION_HOURS: "3",
    });
    expect(warnings).toEqual([]);
    expect(config.connection!.replicaUrls).toHaveLength(2);
    expect(config.backup.remote).toEqual({ provider: "s3", bucket: "bucket", region: "us-east-1" });
    expect(config.monitor).toMatchObject({ enabled: true, intervalMs: 15_000 });
    expect(config.validate).toEqual({ enabled: true, hours: [2, 14], rulesFile: undefined });
    expect(config.indexer).toEqual({ enabled: false, hours: [3] });
    expect(config.features.indexOptimization).toBe(false);
  });
});

describe("profiles", () => {
  test.each<[Profile, number, number, string, number]>([
    ["development", 2, 10, "disable", 7],
    ["test", 0, 5, "disable", 7],
    ["staging", 3, 15, "prefer", 14],
    ["production", 5, 50, "verify-full", 30],
  ])("%s has a pool of %i to %i, TLS %s and keeps backups %i days", (profile, min, max, mode, days) => {
    const environment = { DB_PROFILE: profile, DATABASE_URL: "postgres://db/app", DB_ALLOW_INSECURE_TLS: "true" };
    const { config } = load(environment);
    expect(config.profile).toBe(profile);
    expect(config.pool).toMatchObject({ min, max });
    expect(config.connection!.tls.mode).toBe(mode);
    expect(config.backup.retention.days).toBe(days);
  });

  test("production keeps hourly, daily, weekly and monthly backups", () => {
    const { config } = load({}, { profile: "production" });
    expect(config.backup.retention).toEqual({
      days: 30,
      hourly: 24,
      daily: 30,
      weekly: 13,
      monthly: 12,
      minVerified: 2,
    });
    expect(config.backup.schedule).toEqual({ full: "0 2 * * *", incremental: "0 * * * *" });
  });

  test("is what the caller asks for, then DB_PROFILE, then NODE_ENV, then the file's", () => {
    const file = { path: "/p/db.config.json", value: { profile: "test" } };
    expect(load({}, { file }).config.profile).toBe("test");
    expect(load({ NODE_ENV: "staging" }, { file }).config.profile).toBe("staging");
    const dotenv = { path: "/p/.env", text: "DB_PROFILE=prod" };
    const loaded = load({ NODE_ENV: "staging" }, { file, dotenv });
    expect(loaded.config.profile).toBe("production");
    expect(loaded.explain("profile").source).toMatchObject({ level: ".env", name: "DB_PROFILE" });
    expect(load({ DB_PROFILE: "staging" }, { profile: "test" }).config.profile).toBe("test");
    expect(problemsOf({}, { profile: "tets" as Profile })).toMatchObject([{ source: "the flags", suggestion: "test" }]);
  });

  test("a NODE_ENV of others is passed over with a warning, a DB_PROFILE that cannot be read is a problem", () => {
    const loaded = load({ NODE_ENV: "ci" });
    expect(loaded.config.profile).toBe("development");
    expect(ids(loaded)).toEqual(["CONFIG-NODE-ENV"]);
    expect(problemsOf({ DB_PROFILE: "prodction" })).toMatchObject([
      { variable: "DB_PROFILE", suggestion: "production" },
    ]);
  });

  test("a default of the pool never contradicts what was set", () => {
    expect(load({ DB_PROFILE: "production", DB_CONNECTION_LIMIT: "3" }).config.pool).toMatchObject({ min: 3, max: 3 });
    expect(load({ DB_RETRY_DELAY: "10s" }).config.pool.retry).toMatchObject({ maxDelayMs: 10_000 });
  });
});

describe("precedence", () => {
  const levels: readonly (readonly [name: string, sources: ConfigSources, max: number])[] = [
    ["flag", { flags: { "pool.max": "11" } }, 11],
    ["environment", { environment: { DB_POOL_MAX: "12" } }, 12],
    [".env.<profile>", { profileDotenv: { path: "/p/.env.development", text: "DB_CONNECTION_LIMIT=13" } }, 13],
    [".env", { dotenv: { path: "/p/.env", text: "\nDB_POOL_MAX=14" } }, 14],
    ["file", { file: { path: "/p/db.config.json", value: { pool: { max: 15 } } } }, 15],
    ["user file", { userFile: { path: "/home/.config/db/config.json", value: { pool: { max: 16 } } } }, 16],
    ["profile default", {}, 10],
  ];

  test.each(levels.map(([name], index) => [name, index] as const))("%s beats everything below it", (name, index) => {
    const sources = Object.assign(
      { requireConnection: false },
      ...levels.slice(index).map(([, part]) => part),
    ) as ConfigSources;
    const { config, explain } = parseConfig(sources);
    expect(config.pool.max).toBe(levels[index]![2]);
    const explanation = explain("pool.max");
    expect(explanation.source.level).toBe(name);
    expect(explanation.beaten.map(({ source }) => source.level)).toEqual(
      levels.slice(index + 1).map(([level]) => level),
    );
    expect(explanation.beaten.map(({ value }) => value)).toEqual(
      levels.slice(index + 1).map(([, , max]) => String(max)),
    );
  });

  test("libpq's variables stand below the toolkit's and below files", () => {
    const libpq = { PGHOST: "pg", PGPORT: "1111", PGUSER: "pguser", PGDATABASE: "pgdb" };
    expect(load(libpq).config.connection).toMatchObject({ host: "pg", port: 1111, user: "pguser", database: "pgdb" });
    const file = { path: "/p/db.config.json", value: { connection: { host: "file", port: 2222 } } };
    const { config } = load({ ...libpq, DB_HOST: "env" }, { file });
    expect(config.connection).toMatchObject({ host: "env", port: 2222, user: "pguser", database: "pgdb" });
  });

  test("an empty variable is not set", () => {
    const dotenv = { path: "/p/.env", text: "DB_POOL_MAX=7" };
    expect(load({ DB_POOL_MAX: "", DB_PORT: " " }, { dotenv }).config.pool.max).toBe(7);
  });

  test("a value that cannot be used is a problem, though a lower level has one that could", () => {
    const dotenv = { path: "/p/.env", text: "DB_POOL_MAX=7" };
    expect(problemsOf({ DB_POOL_MAX: "many" }, { dotenv })).toMatchObject([{ variable: "DB_POOL_MAX" }]);
  });

  test("a value that cannot be used and does not count is told", () => {
    const dotenv = { path: "/p/.env", text: "DB_POOL_MAX=many" };
    const loaded = load({ DB_POOL_MAX: "7" }, { dotenv });
    expect(loaded.warnings).toMatchObject([{ id: "CONFIG-BEATEN-INVALID", subject: "DB_POOL_MAX" }]);
  });

  test("a relative path is relative to the file that names it", () => {
    const dotenv = { path: "/project/.env", text: "BACKUP_PATH=./backups" };
    const file = { path: "/project/db.config.json", value: { migrate: { directory: "drizzle" } } };
    const { config } = load(
      { DB_VALIDATION_RULES: "rules.json" },
      { dotenv, file, cwd: "/project/sub", projectDirectory: "/project" },
    );
    expect(config.backup.repository).toBe("/project/backups");
    expect(config.migrate.directory).toBe("/project/drizzle");
    expect(config.validate.rulesFile).toBe("/project/sub/rules.json");
    expect(load({ BACKUP_PATH: "s3://bucket/prefix" }, { cwd: "/x" }).config.backup.repository).toBe(
      "s3://bucket/prefix",
    );
    expect(load({}, { cwd: "/project/sub", projectDirectory: "/project" }).config.backup.repository).toBe(
      "/project/backups",
    );
  });
});

describe("units", () => {
  test("an old variable keeps its unit, and takes a duration with one", () => {
    expect(load({ DB_POOL_TIMEOUT: "10" }).config.pool.acquireTimeoutMs).toBe(10_000);
    expect(load({ DB_POOL_TIMEOUT: "1500ms" }).config.pool.acquireTimeoutMs).toBe(1_500);
    expect(load({ DB_QUERY_TIMEOUT: "1500" }).config.pool.queryTimeoutMs).toBe(1_500);
    expect(load({ DB_QUERY_TIMEOUT: "2 min" }).config.pool.queryTimeoutMs).toBe(120_000);
  });

  test("a variable without a unit of old refuses a bare number", () => {
    expect(problemsOf({ DB_MAX_LIFETIME: "30" })).toMatchObject([{ suggestion: "30s or 30ms" }]);
    expect(problemsOf({ DB_MAX_LIFETIME: "30m" })).toMatchObject([{ suggestion: "30min" }]);
  });

  test("off is false and unlimited is Infinity", () => {
    const { pool } = load({
      DB_LEAK_THRESHOLD: "off",
      DB_KEEP_ALIVE: "off",
      DB_QUERY_TIMEOUT: "unlimited",
      DB_MAX_RETRIES: "0",
    }).config;
    expect(pool).toMatchObject({ leakThresholdMs: false, keepAliveMs: false, queryTimeoutMs: Infinity, retry: false });
  });

  test.each([
    ["DB_PORT", "0"],
    ["DB_PORT", "65536"],
    ["DB_PORT", "54e2"],
    ["DB_PORT", "0x10"],
    ["DB_POOL_MAX", "1.5"],
    ["DB_POOL_MAX", "-1"],
    ["DB_POOL_TIMEOUT", "0"],
    ["DB_POOL_TIMEOUT", "30 days"],
    ["DB_POOL_TIMEOUT", "25d"],
    ["DB_MAX_REPLICA_LAG_BYTES", "1024"],
    ["DB_MONITORING_ENABLED", "maybe"],
    ["DB_VALIDATION_HOURS", "2,24"],
    ["DB_VALIDATION_HOURS", "2,,14"],
    ["BACKUP_SCHEDULE_FULL", "0 25 * * *"],
    ["BACKUP_SCHEDULE_FULL", "@daily"],
    ["BACKUP_COMPRESSION", "constructor"],
    ["BACKUP_COMPRESSION", "lz4"],
    ["NOTIFICATION_EMAIL", "nobody"],
    ["NOTIFICATION_WEBHOOK", "ftp://example.com"],
    ["DB_MIGRATIONS_SCHEMA", "a-b"],
    ["DB_HOST", "a b"],
    ["DB_SSL_MODE", "on"],
  ])("refuses %s=%s and names it", (name, value) => {
    expect(problemsOf({ [name]: value })).toMatchObject([{ variable: name, source: "the environment" }]);
  });
});

describe("problems", () => {
  test("are reported all at once", () => {
    const environment = {
      DB_PORT: "x",
      DB_POOL_MAX: "x",
      DB_QUERY_TIMEOUT: "x",
      DATABASE_URL: "nonsense",
      BACKUP_PATH: "/a",
      BACKUP_DIR: "/b",
    };
    expect(problemsOf(environment).map(({ variable }) => variable)).toEqual([
      "DATABASE_URL",
      "DB_PORT",
      "DB_POOL_MAX",
      "DB_QUERY_TIMEOUT",
      "BACKUP_PATH",
    ]);
  });

  test("name the file and the line", () => {
    const dotenv = { path: "/p/.env", text: "# first\nDB_PORT=x" };
    expect(problemsOf({}, { dotenv })).toMatchObject([
      { source: "/p/.env:2", message: expect.stringContaining("DB_PORT in /p/.env:2") },
    ]);
  });

  test("stand in the message, line by line, with a hint", () => {
    const error = (() => {
      try {
        return load({ DB_PORT: "x", DB_POOL_MAX: "x" });
      } catch (thrown) {
        return thrown as ConfigError;
      }
    })() as ConfigError;
    expect(error).toMatchObject({ code: "CONFIG_INVALID", hint: expect.any(String) });
    expect(error.message.split("\n")).toHaveLength(3);
    expect(error.message).toContain('must be a whole number from 1 to 10000, not "x" (for example 20)');
  });

  test("are found in a file that has keys that do not exist", () => {
    const file = {
      path: "/p/db.config.json",
      value: { pool: { maxx: 3, min: "3" }, poool: {}, backup: 3, $schema: "x" },
    };
    expect(problemsOf({}, { file })).toMatchObject([
      { variable: "pool.maxx", suggestion: "pool.max" },
      { variable: "poool", source: "/p/db.config.json" },
      { variable: "backup", expected: "an object of settings" },
      { variable: "pool.min" },
    ]);
  });

  test("say that nothing says where the database is, only when a connection is needed", () => {
    expect(problemsOf({ DB_PASSWORD: "x" }, { requireConnection: true })).toMatchObject([{ variable: "DATABASE_URL" }]);
    expect(load({}).config.connection).toBeUndefined();
  });
});

describe("the configuration", () => {
  const environment = {
    DATABASE_URL: "postgres://app:swordfish@db/app",
    BACKUP_ENCRYPTION_KEY: "correct horse",
    DB_SERVER_TOKENS: "token-one,token-two",
    NOTIFICATION_WEBHOOK: "https://hooks.example.com/T0/B0/xyzzyx",
  };

  test("is frozen to the bottom", () => {
    const { config } = load(environment);
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(visit);
    };
    visit(config);
    expect(() => {
      (config.pool as { max: number }).max = 3;
    }).toThrow(TypeError);
  });

  test("shows no secret in JSON, in inspect, in explanations and in warnings", () => {
    const loaded = load(environment);
    const { config, warnings, secrets } = loaded;
    const shown = [
      JSON.stringify(loaded),
      inspect(loaded, { depth: 20, showHidden: true }),
      JSON.stringify(loaded.explain()),
      inspect([config, warnings, secrets], { depth: 20 }),
    ];
    for (const text of shown) {
      for (const secret of ["swordfish", "correct horse", "token-one", "xyzzyx"]) expect(text).not.toContain(secret);
    }
    expect(config.server.tokens.map((token) => token.reveal())).toEqual(["token-one", "token-two"]);
    expect(secrets.map((secret) => secret.reveal())).toEqual(expect.arrayContaining(["swordfish", "correct horse"]));
  });

  test("is explained by key, by variable and by alias; another name is corrected", () => {
    const { explain } = load({ ...environment, DB_MONITORING_ENABLED: "no" });
    expect(explain("DB_MONITORING_ENABLED")).toMatchObject({ key: "features.monitoring", value: "false" });
    expect(explain("monitor.enabled").key).toBe("features.monitoring");
    expect(explain("DATABASE_URL_FILE")).toMatchObject({ key: "connection.url", value: "postgres://app:***@db/app" });
    expect(explain("connection.password")).toMatchObject({ value: "***", source: { name: "DATABASE_URL (password)" } });
    expect(() => explain("pool.maxx")).toThrow(UnknownSettingError);
    expect(() => explain("pool.maxx")).toThrow(expect.objectContaining({ suggestion: "pool.max" }));
    expect(() => explain("constructor")).toThrow(UnknownSettingError);
  });

  test("turns groups of a file off with false", () => {
    const file = {
      path: "/p/db.config.json",
      value: { pool: { retry: false, circuitBreaker: false }, backup: { remote: false }, monitor: { enabled: false } },
    };
    const { config } = load({}, { file });
    expect(config.pool).toMatchObject({ retry: false, circuitBreaker: false });
    expect(config.features).toMatchObject({ circuitBreaker: false, remoteStorage: false, monitoring: false });
  });
});
