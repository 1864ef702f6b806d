import { describe, expect, test } from "vitest";
import { flagsOf } from "./connection-options.ts";

describe("the options of the old connection manager", () => {
  test("stand for settings, and what is not given for nothing", () => {
    expect(flagsOf({})).toEqual({});
    const options = { max: 3, connectionTimeoutMillis: 5, statementTimeout: 7, retryDelay: 9, readReplicaUrls: [] };
    expect(flagsOf(options)).toEqual({
      "pool.max": 3,
      "pool.connectTimeoutMs": 5,
      "pool.queryTimeoutMs": 7,
      "pool.retry.initialDelayMs": 9,
      "connection.replicaUrls": [],
    });
  });

  test("verify the server's certificate unless they say that they do not", () => {
    const modeOf = (ssl: boolean | { rejectUnauthorized?: boolean }) => flagsOf({ ssl })["connection.tls.mode"];
    expect(modeOf(true)).toBe("verify-full");
    expect(modeOf({})).toBe("verify-full");
    expect(modeOf({ rejectUnauthorized: false })).toBe("require");
    expect(modeOf(false)).toBe("disable");
  });

  test("are refused where they would be dropped", () => {
    const ssl = { ca: "-----BEGIN CERTIFICATE-----" } as { rejectUnauthorized?: boolean };
    expect(() => flagsOf({ ssl })).toThrow(
      expect.objectContaining({ code: "LEGACY_OPTION", hint: expect.stringContaining("DB_SSL_ROOT_CERT") as string }),
    );
  });
});
