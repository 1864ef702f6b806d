import { type Config, loadConfig, type Profile } from "@db/config";

/** One property of the architecture that the old guides promised, compared with what is in force. */
export interface AlignmentCheck {
  readonly name: string;
  readonly aligned: boolean;
  /** What is in force, one sentence. */
  readonly found: string;
  readonly expected: string;
  readonly hint?: string;
}

/** What each environment was promised: connections, and TLS at least this strict. */
const promised: Readonly<Record<Exclude<Profile, "test">, { min: number; max: number; tls: readonly string[] }>> =
  Object.freeze({
    development: { min: 2, max: 10, tls: ["disable", "allow", "prefer"] },
    staging: { min: 3, max: 15, tls: ["prefer", "require", "verify-ca", "verify-full"] },
    production: { min: 5, max: 50, tls: ["require", "verify-ca", "verify-full"] },
  });

/**
 * Compares what the environments resolve to, and the configuration in force, with the promised figures: pool sizes,
 * TLS progression, bounds that fit each other. Asks no server.
 */
export async function checkAlignment(config: Config): Promise<readonly AlignmentCheck[]> {
  const environments = await Promise.all(
    (Object.keys(promised) as (keyof typeof promised)[]).map(async (profile) => {
      const { config: defaults } = await loadConfig({
        env: { DATABASE_URL: "postgres://app@database.example/app" },
        profile,
        readFiles: false,
      });
      return environmentCheck(profile, defaults);
    }),
  );
  return [...environments, ...boundChecks(config)];
}

/** Compares one environment with its promise. */
export function environmentCheck(profile: keyof typeof promised, { pool, connection }: Config): AlignmentCheck {
  const { min, max, tls } = promised[profile];
  const mode = connection!.tls.mode;
  return {
    name: `environment-${profile}`,
    aligned: pool.min === min && pool.max === max && tls.includes(mode),
    found: `${profile}: ${pool.min} to ${pool.max} connections, TLS ${mode}`,
    expected: `${min} to ${max} connections, TLS ${tls.join(" or ")}`,
  };
}

/** The three layers agree on time: who waits outside waits longer than who works inside. */
function boundChecks({ pool, features, connection }: Config): readonly AlignmentCheck[] {
  const retries = pool.retry === false ? 0 : pool.retry.maxRetries;
  const slowFirst = pool.slowQueryThresholdMs !== false && pool.slowQueryThresholdMs < pool.queryTimeoutMs;
  return [
    {
      name: "layers",
      aligned: features.circuitBreaker && pool.circuitBreaker !== false && retries > 0,
      found: `circuit breaker ${features.circuitBreaker && pool.circuitBreaker !== false ? "on" : "off"}, ${retries} retries`,
      expected: "both on",
      hint: "Leave features.circuitBreaker on and DB_MAX_RETRIES above 0.",
    },
    {
      name: "slow-before-timeout",
      aligned: slowFirst,
      found: `slow from ${pool.slowQueryThresholdMs === false ? "never" : `${pool.slowQueryThresholdMs} ms`} on, cancelled after ${pool.queryTimeoutMs} ms`,
      expected: "a statement is reported as slow before it is cancelled",
      hint: "Keep DB_SLOW_QUERY_THRESHOLD below DB_QUERY_TIMEOUT.",
    },
    {
      name: "replicas-used",
      aligned: features.readReplicas || (connection?.replicaUrls.length ?? 0) === 0,
      found: `${connection?.replicaUrls.length ?? 0} replicas configured, reads on replicas ${features.readReplicas ? "on" : "off"}`,
      expected: "a replica that is configured serves reads",
      hint: "Leave features.readReplicas on.",
    },
  ];
}
