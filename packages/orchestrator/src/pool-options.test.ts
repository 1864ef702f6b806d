import { parseConfig } from "@db/config";
import { noLogger } from "@db/core";
import { resolvePoolOptions } from "@db/pool";
import { describe, expect, test } from "vitest";
import { poolOptionsOf } from "./pool-options.ts";

const optionsOf = (environment: Record<string, string>) =>
  poolOptionsOf(
    parseConfig({ environment: { DATABASE_URL: "postgres://app@db1/app", ...environment } }).config,
    noLogger,
  );

describe("poolOptionsOf", () => {
  test.each([
    ["development", 2, 10, "disable"],
    ["staging", 3, 15, "prefer"],
    ["production", 5, 50, "verify-full"],
  ])("gives %s %i to %i connections, with TLS %s", (profile, min, max, sslMode) => {
    const options = optionsOf({ DB_PROFILE: profile });
    expect(options).toMatchObject({ min, max, sslMode });
    expect(resolvePoolOptions(options)).toMatchObject({ min, max, probeIntervalMs: 500, sessionState: "refuse" });
  });

  test("passes on how retries are paced", () => {
    const environment = {
      DB_RETRY_DELAY: "50",
      DB_RETRY_BACKOFF: "1.5",
      DB_RETRY_MAX_DELAY: "2s",
      DB_MAX_RETRIES: "7",
    };
    const { retry } = resolvePoolOptions(optionsOf(environment));
    expect(retry).toMatchObject({ retries: 7, minDelayMs: 50, factor: 1.5, maxDelayMs: 2_000 });
  });

  test("passes every host on: those of the primary's list, and the replicas", () => {
    const options = optionsOf({
      DATABASE_URL: "postgres://app@db1,db2/app",
      READ_REPLICA_URLS: "postgres://app@db3/app",
      DB_READ_REPLICAS_ENABLED: "true",
      DB_PROFILE: "development",
    });
    const names = resolvePoolOptions(options).servers.map(({ address }) => address.name);
    expect(names).toEqual(["db1:5432", "db2:5432", "db3:5432"]);
  });
});
