import { loadBalances } from "./balance.ts";
import { consistencies } from "./consistency.ts";
import type { PoolCompat, ResolvedPoolOptions } from "./options.ts";
import { plainRoute } from "./target-session.ts";

interface Bounds {
  readonly least: number;
  readonly whole?: true;
  readonly off?: true;
  readonly infinite?: true;
}

const bounds: Readonly<Record<string, Bounds>> = {
  max: { least: 1, whole: true },
  min: { least: 0, whole: true },
  connectConcurrency: { least: 1, whole: true },
  acquireTimeoutMs: { least: 1, infinite: true },
  connectTimeoutMs: { least: 1, infinite: true },
  maxWaiting: { least: 0, infinite: true },
  idleTimeoutMs: { least: 1, off: true, infinite: true },
  maxLifetimeMs: { least: 1, off: true, infinite: true },
  maxLifetimeJitter: { least: 0 },
  maxUses: { least: 1, infinite: true },
  validateAfterIdleMs: { least: 0, off: true, infinite: true },
  keepAliveMs: { least: 0, off: true },
  queryTimeoutMs: { least: 1, off: true },
  cancelTimeoutMs: { least: 1 },
  slowQueryThresholdMs: { least: 0, off: true },
  leakThresholdMs: { least: 1, off: true },
  probeIntervalMs: { least: 10, off: true },
  probeTimeoutMs: { least: 10 },
  probeFailureThreshold: { least: 1, whole: true },
  maxReplicaLagMs: { least: 0, infinite: true },
  maxReplicaLagBytes: { least: 0, infinite: true },
  failoverTimeoutMs: { least: 1, off: true, infinite: true },
  drainTimeoutMs: { least: 0, infinite: true },
  "circuitBreaker.errorThresholdPercentage": { least: 0 },
  "circuitBreaker.volumeThreshold": { least: 0 },
  "circuitBreaker.windowMs": { least: 1 },
  "circuitBreaker.resetMs": { least: 0 },
  "retry.retries": { least: 0, whole: true, infinite: true },
  "retry.minDelayMs": { least: 0 },
  "retry.factor": { least: 1 },
  "retry.maxDelayMs": { least: 0 },
  "retry.budgetRatio": { least: 0, infinite: true },
  "retry.budgetReserve": { least: 0, infinite: true },
  "pipeline.lanes": { least: 1, whole: true, infinite: true },
  "pipeline.maxDepth": { least: 1, whole: true, infinite: true },
  "prepare.after": { least: 1, whole: true },
  "prepare.maxPerConnection": { least: 1, whole: true, infinite: true },
};

/** Each number within its bounds. */
export function checkNumbers(options: ResolvedPoolOptions, problems: string[]): void {
  for (const [name, { least, whole, off, infinite }] of Object.entries(bounds)) {
    const [group = "", key] = name.split(".");
    const found = options[group as keyof ResolvedPoolOptions];
    if (found === false && (off || key !== undefined)) continue;
    const value = key === undefined ? found : (found as unknown as Readonly<Record<string, unknown>>)[key];
    const fits =
      typeof value === "number" &&
      value >= least &&
      (!name.endsWith("Ms") || value < 2 ** 31 || value === Infinity) &&
      (infinite || Number.isFinite(value)) &&
      (!whole || Number.isInteger(value) || value === Infinity);
    if (fits) continue;
    const most = name.endsWith("Ms") ? " to 2147483647" : "";
    const expected = `${whole ? "a whole number" : "a number"} from ${least}${most}${infinite ? ", Infinity" : ""}${off ? " or false" : ""}`;
    problems.push(`${name} is ${show(value)}, not ${expected}`);
  }
}

const clientHandles: readonly ResolvedPoolOptions["clientHandles"][] = ["per-checkout", "per-connection", false];
const compats: readonly PoolCompat[] = ["postgres", "pgbouncer", "supavisor", "rds-proxy"];

/** What contradicts each other. */
export function checkRelations(options: ResolvedPoolOptions, problems: string[]): void {
  if (options.min > options.max) problems.push(`min (${options.min}) is above max (${options.max})`);
  if (options.maxLifetimeJitter > 0.9) problems.push(`maxLifetimeJitter (${options.maxLifetimeJitter}) is above 0.9`);
  if (options.replicaFallback !== "primary" && options.replicaFallback !== "error") {
    problems.push(`replicaFallback is ${show(options.replicaFallback)}, not "primary" or "error"`);
  }
  const { topology, servers } = options;
  if (options.probeIntervalMs === false && topology !== "static") {
    if (servers.length > 1) {
      problems.push("probeIntervalMs is false with several servers: roles and lag could not be known");
    } else if (options.route !== plainRoute && options.route.target !== "any") {
      problems.push("probeIntervalMs is false with targetSessionAttrs: the server's role could not be known");
    }
  }
  checkTopology(options, problems);
  if (!compats.includes(options.compat)) {
    problems.push(`compat is ${show(options.compat)}, not one of ${compats.join(", ")}`);
  }
  const { retry, circuitBreaker } = options;
  if (retry && retry.minDelayMs > retry.maxDelayMs) {
    problems.push(`retry.minDelayMs (${retry.minDelayMs}) is above retry.maxDelayMs (${retry.maxDelayMs})`);
  }
  if (circuitBreaker && circuitBreaker.errorThresholdPercentage > 100) {
    problems.push(`circuitBreaker.errorThresholdPercentage (${circuitBreaker.errorThresholdPercentage}) is above 100`);
  }
}

function checkTopology({ topology, servers, ...options }: ResolvedPoolOptions, problems: string[]): void {
  if (typeof topology === "object") {
    if (typeof topology?.members !== "function") problems.push("topology has no members(): it is no provider");
    else if (!(topology.intervalMs >= 10))
      problems.push(`topology.intervalMs is ${show(topology.intervalMs)}, not a number from 10`);
    if (options.probeIntervalMs === false)
      problems.push("probeIntervalMs is false with a provider: it is the safety net");
  } else if (topology !== "probe" && topology !== "static") {
    problems.push(`topology is ${show(topology)}, not "probe", "static" or a provider`);
  }
  const primaries = servers.filter(({ configuredRole }) => configuredRole === "primary");
  if (topology === "static" && primaries.length > 1) {
    problems.push(`topology is "static" with ${primaries.length} hosts in primaryUrl: one of them must be the primary`);
  }
  if (options.leakAction !== "report" && options.leakAction !== "reclaim") {
    problems.push(`leakAction is ${show(options.leakAction)}, not "report" or "reclaim"`);
  } else if (options.leakAction === "reclaim" && options.leakThresholdMs === false) {
    problems.push('leakAction is "reclaim", but leakThresholdMs is false: nothing would ever be reclaimed');
  }
  if (typeof options.allowExitOnIdle !== "boolean") {
    problems.push(`allowExitOnIdle is ${show(options.allowExitOnIdle)}, not true or false`);
  }
  if (options.sessionState !== "refuse" && options.sessionState !== "keep") {
    problems.push(`sessionState is ${show(options.sessionState)}, not "refuse" or "keep"`);
  }
  if (!clientHandles.includes(options.clientHandles)) {
    problems.push(`clientHandles is ${show(options.clientHandles)}, not "per-checkout", "per-connection" or false`);
  }
  if (!loadBalances.includes(options.loadBalance)) {
    problems.push(`loadBalance is ${show(options.loadBalance)}, not one of ${loadBalances.join(", ")}`);
  }
  if (!consistencies.includes(options.consistency)) {
    problems.push(`consistency is ${show(options.consistency)}, not one of ${consistencies.join(", ")}`);
  }
}

/** A value as it was written. */
export function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}
