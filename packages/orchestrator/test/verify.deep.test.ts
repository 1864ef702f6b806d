import { type Config, loadConfig } from "@db/config";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkAlignment,
  findingsOfProofs,
  type RecommendationName,
  type RecommendationProof,
  verifyRecommendations,
} from "../src/index.ts";

let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
});
afterAll(async () => {
  await cluster?.stop();
});

const allProved: Readonly<Record<string, string>> = {
  "circuit-breaker": "proved",
  "health-monitoring": "proved",
  "automatic-retry": "proved",
  "keep-alive": process.platform === "linux" ? "proved" : "unobserved",
  "slow-query-detection": "proved",
  "read-write-splitting": "proved",
};

async function configure(
  overrides: Record<string, unknown> = {},
  replicas = [cluster.replicas[0].url],
  env: Record<string, string> = {},
): Promise<Config> {
  const { config } = await loadConfig({
    env: {
      DATABASE_URL: cluster.primary.url,
      READ_REPLICA_URLS: replicas.join(","),
      DB_SLOW_QUERY_THRESHOLD: "100",
      ...env,
    },
    readFiles: false,
    overrides,
  });
  return config;
}

function verdicts(proofs: readonly RecommendationProof[]): Record<string, string> {
  return Object.fromEntries(proofs.map(({ name, verdict }) => [name, verdict]));
}

describe("verifyRecommendations", () => {
  test("proves all six where they are in force, and changes nothing", async () => {
    const proofs = await verifyRecommendations(await configure());
    expect(verdicts(proofs), JSON.stringify(proofs, undefined, 2)).toEqual(allProved);
    expect(findingsOfProofs(proofs).filter(({ severity }) => severity === "critical")).toEqual([]);
    const client = await cluster.connect();
    const { rows } = await client.query("select count(*)::int as made from pg_class where oid >= 16384");
    expect(rows).toEqual([{ made: 0 }]);
    await client.end();
  });

  test.each<[RecommendationName, Record<string, unknown>, Record<string, string>]>([
    ["circuit-breaker", { features: { circuitBreaker: false } }, {}],
    ["health-monitoring", {}, { DB_HEALTH_CHECK_INTERVAL: "off" }],
    ["automatic-retry", {}, { DB_MAX_RETRIES: "0" }],
    ["keep-alive", {}, { DB_KEEP_ALIVE: "off" }],
    ["slow-query-detection", {}, { DB_SLOW_QUERY_THRESHOLD: "off" }],
    ["read-write-splitting", { features: { readReplicas: false } }, {}],
  ])("refutes %s, and nothing else, where it is switched off", async (name, overrides, env) => {
    const proofs = await verifyRecommendations(await configure(overrides, [cluster.replicas[0].url], env));
    const lacking = name === "keep-alive" && process.platform !== "linux" ? "unobserved" : "refuted";
    expect(verdicts(proofs), JSON.stringify(proofs, undefined, 2)).toEqual({ ...allProved, [name]: lacking });
    const findings = findingsOfProofs(proofs).filter(({ severity }) => severity === "critical");
    expect(findings.map(({ id }) => id)).toEqual(lacking === "refuted" ? [`VERIFY-${name.toUpperCase()}`] : []);
    expect(findings.map(({ hint }) => hint)).not.toContain(undefined);
  });

  test("claims nothing of replicas where there are none", async () => {
    const proofs = await verifyRecommendations(await configure({}, []));
    const splitting = proofs.find(({ name }) => name === "read-write-splitting");
    expect(splitting).toMatchObject({
      verdict: "unobserved",
      hint: expect.stringContaining("READ_REPLICA_URLS") as string,
    });
  });

  test("says why when the primary cannot be reached", async () => {
    const { config } = await loadConfig({ env: { DATABASE_URL: "postgres://a@127.0.0.1:1/a" }, readFiles: false });
    await expect(verifyRecommendations(config)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("checkAlignment", () => {
  test("finds the promised sizes and TLS of every environment", async () => {
    const checks = await checkAlignment(await configure());
    expect(checks.filter(({ aligned }) => !aligned)).toEqual([]);
    expect(checks.map(({ found }) => found)).toContain("production: 5 to 50 connections, TLS verify-full");
  });

  test("tells of statements that are cancelled before they could be reported as slow", async () => {
    const checks = await checkAlignment(await configure({ pool: { slowQueryThresholdMs: 60_000 } }));
    expect(checks.find(({ name }) => name === "slow-before-timeout")).toMatchObject({ aligned: false });
  });
});
