import { describe, expect, test } from "vitest";
import { InvalidPoolOptionsError } from "./errors.ts";
import { type PoolConfig, poolDefaults, resolvePoolOptions } from "./options.ts";

const primaryUrl = "postgres://u:topsecret@127.0.0.1:5432/db";

function problemsOf(config: PoolConfig): readonly string[] {
  try {
    resolvePoolOptions(config);
    return [];
  } catch (error) {
    return (error as InvalidPoolOptionsError).problems;
  }
}

describe("resolvePoolOptions", () => {
  test("fills in every default", () => {
    const resolved = resolvePoolOptions({ primaryUrl });
    const { replicaUrls: _, ...defaults } = poolDefaults;
    expect(resolved).toMatchObject(defaults);
    expect(resolved.servers.map(({ address }) => address.name)).toEqual(["127.0.0.1:5432"]);
  });

  test("reports all contradictions at once and no secret", () => {
    const problems = problemsOf({
      primaryUrl,
      connectionString: primaryUrl,
      replicaUrls: ["postgres://u:topsecret@127.0.0.1:5432/db", "http://u:topsecret@h"],
      max: 2,
      min: 3,
      acquireTimeoutMs: -1,
      probeIntervalMs: false,
      maxLifetimeJitter: 2,
      replicaFallback: "nobody" as never,
      retry: { minDelayMs: 10, maxDelayMs: 5, factor: 0.5, typo: 1 } as never,
    });
    expect(problems).toEqual([
      "connectionString and primaryUrl say the same thing: give one of them",
      'replicaUrls[1] has the scheme "http", not postgres',
      "127.0.0.1:5432 is listed twice",
      "retry.typo is not an option",
      "acquireTimeoutMs is -1, not a number from 1 to 2147483647, Infinity",
      "retry.factor is 0.5, not a number from 1",
      "min (3) is above max (2)",
      "maxLifetimeJitter (2) is above 0.9",
      'replicaFallback is "nobody", not "primary" or "error"',
      "probeIntervalMs is false with several servers: roles and lag could not be known",
      "retry.minDelayMs (10) is above retry.maxDelayMs (5)",
    ]);
    expect(problems.join()).not.toContain("topsecret");
  });

  test("reports what contradicts itself about the topology", () => {
    const problems = problemsOf({
      primaryUrl: "postgres://h1,h2/db?target_session_attrs=standby",
      targetSessionAttrs: "primary",
      topology: "static",
      loadBalance: "fairest" as never,
      consistency: "some" as never,
    });
    expect(problems).toEqual([
      'targetSessionAttrs is "primary", but the URL says "standby"',
      'topology is "static" with 2 hosts in primaryUrl: one of them must be the primary',
      'loadBalance is "fairest", not one of least-in-flight, round-robin, weighted, random, in-order',
      'consistency is "some", not one of eventual, session, strong',
    ]);
    const topology = { name: "none", intervalMs: 1, members: () => Promise.resolve([]) };
    expect(problemsOf({ primaryUrl, topology, probeIntervalMs: false, targetSessionAttrs: "primry" as never })).toEqual(
      [
        'targetSessionAttrs is "primry", not one of any, read-write, read-only, primary, standby, prefer-standby',
        "topology.intervalMs is 1, not a number from 10",
        "probeIntervalMs is false with a provider: it is the safety net",
      ],
    );
    expect(problemsOf({ primaryUrl, targetSessionAttrs: "standby", replicaFallback: "primary" })).toEqual([
      'replicaFallback is "primary", but targetSessionAttrs is "standby"',
    ]);
  });

  test("reports a name that is no option, where the pool's own names are used, and what has the wrong type", () => {
    const slip = {
      primaryUrl,
      maxReplicaLag: 5,
      retry: 3,
      pipeline: { lanes: 0.5 },
      allowExitOnIdle: 1,
      maxx: undefined,
    };
    expect(problemsOf(slip as never)).toEqual([
      "retry is 3, not its options or false",
      "maxReplicaLag is not an option",
      "pipeline.lanes is 0.5, not a whole number from 1, Infinity",
      "allowExitOnIdle is 1, not true or false",
    ]);
    expect(problemsOf({ primaryUrl, statement_timeout: 5, user: "u", options: "-c x=y" })).toEqual([]);
    expect(problemsOf({ connectionString: primaryUrl, anything: 1 } as never)).toEqual([]);
  });

  test("says what a URL is instead of one, and which word of it is none", () => {
    const slips = { primaryUrl: 5, replicaUrls: [null, { weight: 1 }, "", "postgres://h/db?sslmode=requre"] };
    expect(problemsOf(slips as never)).toEqual([
      "primaryUrl is number, not a URL",
      "replicaUrls[0] is empty, not a URL",
      "replicaUrls[1] is empty, not a URL",
      "replicaUrls[2] is empty, not a URL",
      'replicaUrls[3] has the sslmode "requre", not one of disable, allow, prefer, require, verify-ca, verify-full',
    ]);
    expect(problemsOf({ primaryUrl: "", replicaUrls: "postgres://h/db" } as never)).toEqual([
      "primaryUrl is empty, not a URL",
      "replicaUrls is no list",
    ]);
    expect(problemsOf({ connectionString: "" })).toEqual([]);
    expect(problemsOf({ primaryUrl: "postgres://h/db?sslmode=no-verify" })).toEqual([]);
  });

  test("takes undefined for the default and false for off", () => {
    const resolved = resolvePoolOptions({ primaryUrl, max: undefined as never, idleTimeoutMs: false, retry: false });
    expect(resolved).toMatchObject({ max: 10, idleTimeoutMs: false, retry: false });
  });

  test("reads pg's names with pg's meaning of 0, and probes nobody for them alone", () => {
    const config = { host: "h", port: 5, connectionTimeoutMillis: 0, idleTimeoutMillis: 0, maxLifetimeSeconds: 60 };
    expect(resolvePoolOptions(config)).toMatchObject({
      acquireTimeoutMs: Infinity,
      connectTimeoutMs: Infinity,
      idleTimeoutMs: false,
      maxLifetimeMs: 60_000,
      probeIntervalMs: false,
    });
  });

  test("probes for pg's names too where there is something to choose, and says when it could not", () => {
    for (const connectionString of ["postgres://u@h1,h2/db", "postgres://u@h/db?target_session_attrs=primary"]) {
      const options = resolvePoolOptions({ connectionString });
      expect(options).toMatchObject({ probeIntervalMs: 500, sessionState: "keep", clientHandles: false });
      expect(problemsOf({ connectionString, probeIntervalMs: false })).toEqual([
        expect.stringMatching(/^probeIntervalMs is false with (several servers|targetSessionAttrs)/),
      ]);
    }
  });

  test("makes a server of each host of a list", () => {
    const { servers } = resolvePoolOptions({ primaryUrl: "postgres://u@h1,h2:2/db" });
    expect(servers.map(({ address, configuredRole }) => `${address.name} ${configuredRole}`)).toEqual([
      "h1:5432 primary",
      "h2:2 primary",
    ]);
  });

  test("hides passwords from everything that prints", () => {
    const resolved = resolvePoolOptions({ primaryUrl, password: "topsecret" });
    expect(JSON.stringify(resolved)).not.toContain("topsecret");
  });
});
