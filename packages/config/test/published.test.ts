import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configJsonSchema, settingsTable } from "../src/index.ts";
import { settings, variableNames } from "../src/settings.ts";

const file = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

test("schema.json is what the settings generate (npm run generate)", () => {
  expect(JSON.parse(file("schema.json"))).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
});

test("the table in the README is what the settings generate (npm run generate)", () => {
  expect(file("README.md")).toContain(settingsTable());
});

test("no two settings share a key or a variable", () => {
  expect(new Set(settings.map(({ key }) => key)).size).toBe(settings.length);
  expect(new Set(variableNames).size).toBe(variableNames.length);
});

test("every variable of the old platforms and of libpq has a setting", () => {
  const names = `
    DATABASE_URL READ_REPLICA_URLS DB_READ_REPLICA_URL DB_HOST DB_PORT DB_NAME DB_USER DB_CONNECTION_LIMIT
    DB_POOL_TIMEOUT DB_CONNECT_TIMEOUT DB_SOCKET_TIMEOUT DB_QUERY_TIMEOUT DB_SLOW_QUERY_THRESHOLD DB_MAX_RETRIES
    DB_RETRY_DELAY DB_RETRY_BACKOFF DB_HEALTH_CHECK_INTERVAL BACKUP_PATH BACKUP_DIR BACKUP_RETENTION_DAYS
    BACKUP_ENCRYPTION_KEY BACKUP_COMPRESSION BACKUP_REMOTE_STORAGE BACKUP_STORAGE_TYPE BACKUP_STORAGE_BUCKET
    BACKUP_STORAGE_REGION CLOUD_STORAGE_ENABLED CLOUD_STORAGE_PROVIDER AWS_S3_BUCKET GCP_BUCKET NOTIFICATION_ENABLED
    NOTIFICATION_EMAIL NOTIFICATION_WEBHOOK DB_MONITORING_ENABLED DB_MONITORING_INTERVAL DB_VALIDATION_ENABLED
    DB_VALIDATION_HOURS DB_INDEX_OPTIMIZATION_ENABLED DB_INDEX_OPTIMIZATION_HOURS PGHOST PGHOSTADDR PGPORT PGUSER
    PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGSSLMODE PGSSLROOTCERT PGSSLCERT PGSSLKEY PGAPPNAME
    PGCONNECT_TIMEOUT PGOPTIONS PGTARGETSESSIONATTRS`;
  expect(
    names
      .trim()
      .split(/\s+/)
      .filter((name) => !variableNames.includes(name)),
  ).toEqual([]);
});

test("every example and every default is accepted by its own setting", () => {
  for (const { kind, example, key, variables, ...setting } of settings) {
    const read = kind.schema().safeParse(kind.fromText(example, variables[0]?.unit));
    const isProse = ["server.tokens", "notify.webhookUrl"].includes(key);
    expect([key, isProse || read.success]).toEqual([key, true]);
    for (const value of [setting.default, ...Object.values(setting.profiles ?? {})]) {
      if (value !== undefined) expect([key, kind.schema().safeParse(value).data]).toEqual([key, value]);
    }
  }
});
