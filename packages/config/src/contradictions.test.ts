import { describe, expect, test } from "vitest";
import { ConfigError, type Problem } from "./errors.ts";
import { type ConfigSources, type LoadedConfig, parseConfig } from "./parse.ts";

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

describe("contradictions", () => {
  test.each<[string, Variables]>([
    ["min above max", { DB_POOL_MIN: "9", DB_POOL_MAX: "3" }],
    ["a first retry after the longest wait", { DB_RETRY_DELAY: "5s", DB_RETRY_MAX_DELAY: "1s" }],
    ["a warning above critical", { DB_THRESHOLD_CONNECTIONS_WARN: "95" }],
    ["a URL beside another host", { DATABASE_URL: "postgres://one/app", DB_HOST: "two" }],
    ["a URL beside another database", { DATABASE_URL: "postgres://one/app", DB_NAME: "other" }],
    [
      "two spellings of remote storage",
      { CLOUD_STORAGE_ENABLED: "false", BACKUP_REMOTE_STORAGE: "true", BACKUP_STORAGE_BUCKET: "b" },
    ],
    ["two spellings of the provider", { BACKUP_STORAGE_TYPE: "aws-s3", CLOUD_STORAGE_PROVIDER: "gcp" }],
    ["two spellings of the limit", { DB_CONNECTION_LIMIT: "10", DB_POOL_MAX: "11" }],
    ["two folders for backups", { BACKUP_PATH: "/a", BACKUP_DIR: "/b" }],
    ["two buckets", { BACKUP_REMOTE_STORAGE: "true", BACKUP_STORAGE_BUCKET: "a", AWS_S3_BUCKET: "b" }],
    ["remote storage without a bucket", { BACKUP_REMOTE_STORAGE: "true" }],
    [
      "the bucket of another provider",
      { CLOUD_STORAGE_ENABLED: "true", CLOUD_STORAGE_PROVIDER: "gcp", AWS_S3_BUCKET: "b" },
    ],
    ["notification of nobody", { NOTIFICATION_ENABLED: "true" }],
    [
      "a replica that is the primary",
      { DATABASE_URL: "postgres://localhost/a", READ_REPLICA_URLS: "postgres://127.0.0.1:5432/a" },
    ],
    [
      "a replica named twice",
      { DATABASE_URL: "postgres://p/a", READ_REPLICA_URLS: "postgres://r/a,postgres://R:5432/a" },
    ],
    [
      "replicas that differ",
      { DATABASE_URL: "postgres://p/a", READ_REPLICA_URLS: "postgres://r/a", DB_READ_REPLICA_URL: "postgres://s/a" },
    ],
    ["production without encryption", { DB_PROFILE: "production", DATABASE_URL: "postgres://db/a?sslmode=disable" }],
    [
      "production with optional encryption",
      { DB_PROFILE: "production", DATABASE_URL: "postgres://db/a", DB_SSL_MODE: "prefer" },
    ],
    [
      "a replica in production without encryption",
      {
        DB_PROFILE: "production",
        DATABASE_URL: "postgres://db/a",
        READ_REPLICA_URLS: "postgres://r/a?sslmode=disable",
      },
    ],
    ["a certificate without its key", { DATABASE_URL: "postgres://db/a?sslmode=require", DB_SSL_CERT: "/none" }],
    ["verify-ca without an authority", { DATABASE_URL: "postgres://db/a?sslmode=verify-ca" }],
  ])("%s is a problem", (_, environment) => {
    expect(problemsOf(environment).length).toBeGreaterThan(0);
  });

  test("spellings that agree are none", () => {
    const environment = {
      CLOUD_STORAGE_ENABLED: "true",
      BACKUP_REMOTE_STORAGE: "1",
      BACKUP_STORAGE_TYPE: "aws-s3",
      CLOUD_STORAGE_PROVIDER: "aws",
      BACKUP_STORAGE_BUCKET: "b",
      AWS_S3_BUCKET: "b",
      GCP_BUCKET: "another",
      DATABASE_URL: "postgres://app@DB:5432/app?connection_limit=10",
      DB_HOST: "db",
      DB_PORT: "5432",
      DB_CONNECTION_LIMIT: "10",
      READ_REPLICA_URLS: "postgres://r1/app,postgres://r2/app",
      DB_READ_REPLICA_URL: "postgres://r1/app",
    };
    const { config } = load(environment);
    expect(config.connection!.replicaUrls).toHaveLength(2);
  });

  test("production without encryption can be allowed, and a socket needs none", () => {
    const environment = { DB_PROFILE: "production", DATABASE_URL: "postgres://db/a?sslmode=disable" };
    expect(problemsOf({ ...environment, DB_ALLOW_INSECURE_TLS: "true" })).toEqual([]);
    expect(problemsOf({ DB_PROFILE: "production", PGHOST: "/var/run/postgresql" })).toEqual([]);
  });

  test("levels are no contradiction: the higher one counts, with a word about a mixed URL", () => {
    const dotenv = { path: "/p/.env", text: "DATABASE_URL=postgres://app:swordfish@one/app" };
    const mixed = load({ DB_HOST: "two" }, { dotenv });
    expect(mixed.config.connection!.host).toBe("two");
    expect(mixed.warnings).toMatchObject([{ id: "CONFIG-URL-OVERRIDDEN", subject: "DB_HOST" }]);
    const plain = load({ DATABASE_URL: "postgres://two/app" }, { dotenv: { path: "/p/.env", text: "DB_HOST=one" } });
    expect(plain.config.connection!.host).toBe("two");
    expect(plain.warnings).toEqual([]);
  });
});

describe("warnings", () => {
  test("an unknown variable with our prefix gets a suggestion, and is not fatal", () => {
    const { warnings } = load(
      {
        DB_CONECTION_LIMIT: "3",
        BACKUP_RETENTION: "3",
        DB_MINE: "3",
        DB_PASSWORD_FIL: "x",
        PATH: "/bin",
        DB_EMPTY: "",
      },
      { knownVariables: ["DB_MINE"] },
    );
    expect(warnings.map(({ subject, hint }) => [subject, hint])).toEqual([
      ["BACKUP_RETENTION", "Remove it, or correct its name."],
      ["DB_CONECTION_LIMIT", "Did you mean DB_CONNECTION_LIMIT?"],
      ["DB_PASSWORD_FIL", "Did you mean DB_PASSWORD_FILE?"],
    ]);
  });

  test("an encrypted connection that is not verified is told", () => {
    const loaded = load({ DB_PROFILE: "production", DATABASE_URL: "postgres://db/a?sslmode=require" });
    expect(loaded.warnings).toMatchObject([{ id: "CONFIG-TLS-UNVERIFIED", severity: "warn" }]);
  });

  test("settings that defeat each other are told", () => {
    const environment = {
      DB_QUERY_TIMEOUT: "500",
      DB_SOCKET_TIMEOUT: "400ms",
      DB_READ_REPLICAS_ENABLED: "true",
      DATABASE_URL: "postgres://db/a",
    };
    expect(ids(load(environment))).toEqual(["CONFIG-SLOW-QUERY", "CONFIG-SOCKET-TIMEOUT", "CONFIG-NO-REPLICA"]);
  });
});
