import type { PoolOptions } from "@db/pool";

/** mulberry32: the same numbers for the same seed. */
export function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Servers {
  readonly primaryUrl: string;
  readonly replicaUrl: string;
  readonly password: string;
}

type Changeable = { -readonly [Key in keyof PoolOptions]?: unknown };

/** What an option may be, its extremes first; `undefined` is its default. Bounds are long enough for a busy machine. */
const values: Readonly<Record<string, readonly unknown[]>> = {
  max: [1, 2, 3, 12, undefined],
  connectConcurrency: [1, 5, undefined],
  acquireTimeoutMs: [Infinity, 60_000],
  connectTimeoutMs: [Infinity, 60_000],
  maxWaiting: [Infinity, 200, undefined],
  idleTimeoutMs: [1, Infinity, false, 50, undefined],
  maxLifetimeMs: [1, Infinity, false, 50, undefined],
  maxLifetimeJitter: [0, 0.9, undefined],
  maxUses: [1, Infinity, 2, 7, undefined],
  validateAfterIdleMs: [0, Infinity, false, 5, undefined],
  keepAliveMs: [0, false, undefined],
  allowExitOnIdle: [true, false, undefined],
  queryTimeoutMs: [60_000, false, undefined],
  cancelTimeoutMs: [60_000],
  slowQueryThresholdMs: [0, false, 10, undefined],
  leakThresholdMs: [60_000, 10],
  leakAction: ["report", undefined],
  sessionState: ["refuse", "keep", undefined],
  clientHandles: ["per-checkout", "per-connection", false, undefined],
  tags: [{}, { app: "a b'c" }, () => ({ route: "/x" }), undefined],
  probeIntervalMs: [10, 500, undefined],
  probeTimeoutMs: [60_000],
  probeFailureThreshold: [1, 3, undefined],
  maxReplicaLagMs: [0, Infinity, undefined],
  maxReplicaLagBytes: [0, Infinity, undefined],
  failoverTimeoutMs: [60_000, Infinity],
  circuitBreaker: [false, { volumeThreshold: 0, errorThresholdPercentage: 100 }, { windowMs: 100 }, undefined],
  retry: [false, { retries: 0 }, { minDelayMs: 0, maxDelayMs: 0 }, { factor: 1, budgetReserve: 0 }, undefined],
  pipeline: [true, false, { lanes: 1, maxDepth: 1 }, { lanes: Infinity }, { maxDepth: 1_000 }, undefined],
  prepare: [true, false, { after: 1, maxPerConnection: 1 }, undefined],
  compat: ["postgres", "pgbouncer", "supavisor", "rds-proxy", undefined],
  drainTimeoutMs: [Infinity, 60_000],
  loadBalance: ["round-robin", "weighted", "random", "in-order", "least-in-flight", undefined],
  consistency: ["eventual", "session", "strong", undefined],
  applicationName: ["combined", undefined],
  sslMode: ["disable", "allow", "prefer", undefined],
};

/** A combination of options without a contradiction. */
export function combine(random: () => number, { primaryUrl, replicaUrl, password }: Servers): PoolOptions {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const options: Changeable = { primaryUrl };
  for (const [name, of] of Object.entries(values)) {
    // Most are left alone in any one pool: what goes wrong between two of them is easier seen.
    if (of.length < 3 || random() < 0.4) options[name as keyof PoolOptions] = pick(of);
  }
  const max = typeof options.max === "number" ? options.max : 10;
  if (random() < 0.4) options.min = pick([0, 1, max]);
  if (options.leakThresholdMs === 60_000 && random() < 0.5) options.leakAction = "reclaim";
  if (random() < 0.2) options.password = pick<unknown>([password, () => password, async () => password]);
  const servers = pick(["one", "unprobed", "replica", "weighted", "idle replica", "hosts", "static"]);
  if (servers === "unprobed") options.probeIntervalMs = false;
  if (["replica", "static"].includes(servers)) options.replicaUrls = [replicaUrl];
  if (servers === "weighted") options.replicaUrls = [{ url: replicaUrl, weight: 3 }];
  if (servers === "idle replica") options.replicaUrls = [{ url: replicaUrl, weight: 0 }];
  if (servers === "hosts") options.primaryUrl = inOneUrl(primaryUrl, replicaUrl);
  if (servers === "static") {
    options.topology = "static";
    options.probeIntervalMs = pick([false, 50]);
  }
  if (options.replicaUrls !== undefined && random() < 0.5) options.replicaFallback = pick(["primary", "error"]);
  const readable = servers === "replica" || servers === "weighted" || servers === "static";
  const attrs = readable ? ["any", "prefer-standby", "standby", "primary", "read-write"] : ["any", "primary"];
  if (servers === "unprobed") attrs.pop();
  if (random() < 0.3) options.targetSessionAttrs = pick(attrs);
  if (options.targetSessionAttrs === "standby") {
    options.replicaFallback = "error";
    // A read that no standby has what it must see is refused then.
    delete options.consistency;
  }
  if (options.targetSessionAttrs === "prefer-standby") options.replicaFallback = "primary";
  // It would have none to go to: too far behind, or said to serve no reads.
  if (options.replicaFallback === "error") {
    delete options.maxReplicaLagMs;
    delete options.maxReplicaLagBytes;
    if (!readable) delete options.replicaFallback;
  }
  return options as unknown as PoolOptions;
}

/** One URL that names the hosts of both, in this order. */
export function inOneUrl(url: string, other: string): string {
  return url.replace(/@[^/]*/, (host) => `${host},${new URL(other).host}`);
}

/** What cannot be, by the options it touches and the words that must name it. */
export const contradictions: readonly {
  readonly touches: readonly (keyof PoolOptions)[];
  readonly with: Readonly<Record<string, unknown>>;
  readonly named: RegExp;
}[] = [
  { touches: ["max", "min"], with: { max: 3, min: 4 }, named: /^min \(4\) is above max \(3\)$/ },
  { touches: ["maxLifetimeJitter"], with: { maxLifetimeJitter: 1.5 }, named: /^maxLifetimeJitter \(1.5\) is above/ },
  { touches: ["acquireTimeoutMs"], with: { acquireTimeoutMs: 0 }, named: /^acquireTimeoutMs is 0, not/ },
  { touches: ["connectTimeoutMs"], with: { connectTimeoutMs: 2 ** 31 }, named: /^connectTimeoutMs is 2147483648, not/ },
  {
    touches: ["connectConcurrency"],
    with: { connectConcurrency: 0.5 },
    named: /^connectConcurrency is 0.5, not a whole/,
  },
  { touches: ["maxUses"], with: { maxUses: NaN }, named: /^maxUses is NaN, not/ },
  { touches: ["keepAliveMs"], with: { keepAliveMs: Infinity }, named: /^keepAliveMs is Infinity, not/ },
  { touches: ["queryTimeoutMs"], with: { queryTimeoutMs: "5s" }, named: /^queryTimeoutMs is "5s", not/ },
  { touches: ["maxWaiting"], with: { maxWaiting: null }, named: /^maxWaiting is null, not/ },
  { touches: ["idleTimeoutMs"], with: { idleTimeoutMs: true }, named: /^idleTimeoutMs is true, not/ },
  {
    touches: ["leakAction", "leakThresholdMs"],
    with: { leakAction: "reclaim", leakThresholdMs: false },
    named: /^leakAction is "reclaim", but leakThresholdMs is false/,
  },
  { touches: ["sessionState"], with: { sessionState: "maybe" }, named: /^sessionState is "maybe", not/ },
  { touches: ["clientHandles"], with: { clientHandles: true }, named: /^clientHandles is true, not/ },
  { touches: ["loadBalance"], with: { loadBalance: "fairest" }, named: /^loadBalance is "fairest", not/ },
  { touches: ["consistency"], with: { consistency: "some" }, named: /^consistency is "some", not/ },
  { touches: ["compat"], with: { compat: "odyssey" }, named: /^compat is "odyssey", not/ },
  { touches: ["allowExitOnIdle"], with: { allowExitOnIdle: "no" }, named: /^allowExitOnIdle is "no", not/ },
  { touches: ["retry"], with: { retry: { minDelayMs: 2, maxDelayMs: 1 } }, named: /^retry.minDelayMs \(2\) is above/ },
  { touches: ["pipeline"], with: { pipeline: { lanes: 1.5 } }, named: /^pipeline.lanes is 1.5, not a whole/ },
  { touches: ["prepare"], with: { prepare: { affter: 1 } }, named: /^prepare.affter is not an option/ },
  {
    touches: ["circuitBreaker"],
    with: { circuitBreaker: { errorThresholdPercentage: 101 } },
    named: /^circuitBreaker.errorThresholdPercentage \(101\) is above 100/,
  },
  {
    touches: ["targetSessionAttrs", "replicaFallback", "probeIntervalMs"],
    with: { targetSessionAttrs: "prefer-standby", replicaFallback: "error" },
    named: /^replicaFallback is "error", but targetSessionAttrs is "prefer-standby"/,
  },
  {
    touches: ["topology", "probeIntervalMs", "replicaUrls", "primaryUrl"],
    with: { topology: "probe", probeIntervalMs: false, primaryUrl: "postgres://a@h1,h2/b" },
    named: /^probeIntervalMs is false with several servers/,
  },
  {
    touches: ["sslMode", "ssl"],
    with: { sslMode: "disable", ssl: true },
    named: /^sslMode is "disable", but ssl is given/,
  },
  { touches: ["applicationName"], with: { applicationNmae: "x" }, named: /^applicationNmae is not an option/ },
];

/** The same options, made to contradict themselves in some ways; `named` is what must be said of it. */
export function contradict(random: () => number, options: PoolOptions): { options: PoolOptions; named: RegExp[] } {
  const changed: Changeable = { ...options };
  const named: RegExp[] = [];
  const touched = new Set<string>();
  const shuffled = contradictions.map((each) => ({ each, at: random() })).toSorted((a, b) => a.at - b.at);
  const most = 1 + Math.floor(random() * 6);
  for (const { each } of shuffled) {
    if (named.length === most) break;
    if (each.touches.some((name) => touched.has(name))) continue;
    for (const name of each.touches) {
      touched.add(name);
      if (name !== "primaryUrl") delete changed[name];
    }
    Object.assign(changed, each.with);
    named.push(each.named);
  }
  return { options: changed as unknown as PoolOptions, named };
}
