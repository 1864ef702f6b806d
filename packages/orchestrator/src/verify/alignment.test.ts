import { type Config, loadConfig } from "@db/config";
import { describe, expect, test } from "vitest";
import { checkAlignment, environmentCheck } from "./alignment.ts";

async function configOf(variables: Record<string, string>, overrides: Record<string, unknown> = {}): Promise<Config> {
  const env = { DATABASE_URL: "postgres://app@database.example/app?sslmode=disable", ...variables };
  return (await loadConfig({ env, readFiles: false, overrides })).config;
}

async function misaligned(
  variables: Record<string, string>,
  overrides?: Record<string, unknown>,
): Promise<readonly string[]> {
  return (await checkAlignment(await configOf(variables, overrides))).flatMap(({ aligned, name }) =>
    aligned ? [] : name,
  );
}

describe("alignment", () => {
  test("of an environment is its pool's size and its TLS", async () => {
    const config = await configOf({});
    expect(environmentCheck("development", config).aligned).toBe(true);
    expect(environmentCheck("production", config)).toMatchObject({
      aligned: false,
      found: "production: 2 to 10 connections, TLS disable",
    });
    for (const pool of [{ min: 1 }, { max: 11 }]) {
      expect(environmentCheck("development", { ...config, pool: { ...config.pool, ...pool } }).aligned).toBe(false);
    }
    const tls = { ...config.connection!.tls, mode: "verify-full" as const };
    const strict = { ...config, connection: { ...config.connection!, tls } };
    expect(environmentCheck("development", strict).aligned).toBe(false);
  });

  test("of the layers and the bounds is told one by one", async () => {
    expect(await misaligned({})).toEqual([]);
    expect(await misaligned({ DB_MAX_RETRIES: "0" })).toEqual(["layers"]);
    expect(await misaligned({}, { features: { circuitBreaker: false } })).toEqual(["layers"]);
    expect(await misaligned({ DB_SLOW_QUERY_THRESHOLD: "30000" })).toEqual(["slow-before-timeout"]);
    expect(await misaligned({ DB_SLOW_QUERY_THRESHOLD: "off" })).toEqual(["slow-before-timeout"]);
    const replica = { READ_REPLICA_URLS: "postgres://app@replica.example/app" };
    expect(await misaligned(replica)).toEqual([]);
    expect(await misaligned(replica, { features: { readReplicas: false } })).toEqual(["replicas-used"]);
  });
});
