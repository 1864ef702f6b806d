import { type Clock, type Logger, noLogger, systemClock } from "@db/core";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type pg from "pg";
import type { PrepareOptions } from "./auto-prepare.ts";
import { InvalidPoolOptionsError } from "./errors.ts";
import type { PipelineOptions } from "./lane-executor.ts";
import { readPgNames } from "./pg-names.ts";
import { resolveServers, type ServerSpec } from "./server-spec.ts";
import { type SslMode } from "./tls-mode.ts";

/** When the circuit to a server opens and how long it stays open. */
export interface CircuitBreakerOptions {
  /** Share of failed operations that opens it, in percent. Default 50. Only infrastructure errors count. */
  readonly errorThresholdPercentage?: number;
  /** Fewest operations within the window before it may open. Default 5. */
  readonly volumeThreshold?: number;
  /** Window over which operations are counted. Default 10 000. */
  readonly windowMs?: number;
  /** After this long one trial operation is let through; a good probe closes it earlier. Default 5 000. */
  readonly resetMs?: number;
}

/** How often and how fast failed work is tried again. What may be retried is decided by `classifyError`. */
export interface RetryOptions {
  /** Most attempts after the first. Default 3. */
  readonly retries?: number;
  /** Bound of the first wait; the wait itself is random between 0 and the bound. Default 100. */
  readonly minDelayMs?: number;
  /** Largest bound; it doubles with every attempt. Default 5 000. */
  readonly maxDelayMs?: number;
  /** Retries allowed for each request made, once the reserve of `budgetReserve` is used. Default 0.1. */
  readonly budgetRatio?: number;
  /** Retries allowed without any credit, so that a quiet pool may retry too. Default 20. */
  readonly budgetReserve?: number;
}

/** A server, or a pooler in front of one. */
export type PoolCompat = "postgres" | "pgbouncer" | "supavisor" | "rds-proxy";

/** Durations are milliseconds, sizes are connections per server. `false` is off, `Infinity` is no limit. */
export interface PoolOptions {
  /** The primary, as a `postgres://` URL; with several hosts in it, whichever of them accepts writes. */
  readonly primaryUrl: string;
  /** Standbys that may serve reads. They need the same database, user and password rules as the primary. */
  readonly replicaUrls?: readonly string[];
  /** Shown in `pg_stat_activity`. Default: what the URL says. */
  readonly applicationName?: string;
  /** TLS, as `node:tls` takes it; `sslmode` in a URL wins. Default: what the URL says. */
  readonly ssl?: boolean | TlsOptions;
  /**
   * How much TLS, in libpq's words. `prefer` tries it and connects without only when the server says that it has none;
   * `allow` connects without and tries it only when the server lets nobody in that way; both protect from listeners at
   * best. Together with `ssl`, which then holds certificates. Default: what `ssl` or the URL says.
   */
  readonly sslMode?: SslMode;
  /** Password, or a function asked anew for each connection. Default: what the URL says. */
  readonly password?: string | (() => string | Promise<string>);

  /** Most connections per server. Default 10. */
  readonly max?: number;
  /** Connections `start()` opens per server and the pool then keeps open. Default 0. */
  readonly min?: number;
  /** Connections opened at the same time per server while others work; twice that while none does. Default 2. */
  readonly connectConcurrency?: number;
  /** Longest wait for a free connection. Default 5 000. */
  readonly acquireTimeoutMs?: number;
  /** Longest time to make one connection: look-up, TCP, TLS, authentication. Default 5 000. */
  readonly connectTimeoutMs?: number;
  /** Callers allowed to wait per server; the next one is refused at once. Default `Infinity`. */
  readonly maxWaiting?: number;
  /** An idle connection above `min` is closed after this. Default 10 000. */
  readonly idleTimeoutMs?: number | false;
  /** A connection older than this is replaced when it is next free. Default 1 800 000. */
  readonly maxLifetimeMs?: number | false;
  /** Share of `maxLifetimeMs` by which connections retire earlier at random, so that not all go at once. Default 0.1. */
  readonly maxLifetimeJitter?: number;
  /** A connection is replaced after this many checkouts. Default `Infinity`. */
  readonly maxUses?: number;
  /** A connection idle for longer is pinged before it is lent. Default 30 000. */
  readonly validateAfterIdleMs?: number | false;
  /** First TCP keep-alive after this much silence. Default 10 000. */
  readonly keepAliveMs?: number | false;
  /** Lets the process end while connections are idle, as pg's option of this name. Default `false`. */
  readonly allowExitOnIdle?: boolean;

  /** Default bound of a statement; after it the statement is cancelled on the server. Default `false`. */
  readonly queryTimeoutMs?: number | false;
  /** Longest wait for the server to confirm a cancel before the connection is destroyed. Default 2 000. */
  readonly cancelTimeoutMs?: number;
  /** Statements at least this slow are reported by the `slow-query` event. Default `false`. */
  readonly slowQueryThresholdMs?: number | false;
  /** Report a connection checked out for longer. Default `false`; on, each checkout captures a stack. */
  readonly leakThresholdMs?: number | false;

  /**
   * Pause between two probes of a server, on a connection of their own. Default 500; for a pool made with pg's names
   * alone `false`, so that it opens no connection pg would not have opened.
   */
  readonly probeIntervalMs?: number | false;
  /** A probe without an answer fails after this. Default 500. */
  readonly probeTimeoutMs?: number;
  /** A server is down, and its connections are closed, after this many unanswered probes in a row. Default 3. */
  readonly probeFailureThreshold?: number;
  /** A replica further behind serves no reads. Default 10 000; its resolution is `probeIntervalMs`. */
  readonly maxReplicaLagMs?: number;
  /** The same in bytes of WAL. Default `Infinity`. */
  readonly maxReplicaLagBytes?: number;
  /** Who serves reads meant for a replica while none can: the primary, or an error. Default `"primary"`. */
  readonly replicaFallback?: "primary" | "error";
  /** How long work for the primary waits for a new one after a failover began. Default 30 000; `false` fails at once. */
  readonly failoverTimeoutMs?: number | false;

  /**
   * Sends reads outside of transactions over a few shared connections, without waiting for the answers to those before
   * them. Slow, unknown, cancellable and writing statements have a connection to themselves. Default: on; off with a
   * `max` of 1, a bound on uses, or a client class of your own.
   */
  readonly pipeline?: PipelineOptions | boolean;
  /** Prepares statements that are used again, by themselves. Default: on. */
  readonly prepare?: PrepareOptions | boolean;
  /**
   * What stands between the pool and the server. `pgbouncer` turns `prepare` off, the others `pipeline` too, unless
   * these are given. Default `"postgres"`.
   */
  readonly compat?: PoolCompat;
  readonly circuitBreaker?: CircuitBreakerOptions | false;
  readonly retry?: RetryOptions | false;
  /** Bound of `stop()` and of `await using`, after which what still runs is cancelled. Default 10 000. */
  readonly drainTimeoutMs?: number;

  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** What `new Pool` takes: pg's own names, the names of `PoolOptions`, or both. */
export interface PoolConfig
  extends
    Omit<pg.PoolConfig, "pipeline">,
    Partial<Omit<PoolOptions, "max" | "min" | "maxUses" | "ssl" | "password" | "allowExitOnIdle" | "pipeline">> {
  /** As in `PoolOptions`; with `undefined` for the default, as every option of pg has it. */
  readonly pipeline?: PipelineOptions | boolean | undefined;
}

/** Every default in one place. */
export const poolDefaults: Readonly<
  Required<
    Omit<
      PoolOptions,
      | "primaryUrl"
      | "applicationName"
      | "ssl"
      | "sslMode"
      | "password"
      | "circuitBreaker"
      | "retry"
      | "pipeline"
      | "prepare"
    >
  > & {
    circuitBreaker: Required<CircuitBreakerOptions>;
    retry: Required<RetryOptions>;
    pipeline: Required<PipelineOptions>;
    prepare: Required<PrepareOptions>;
  }
> = Object.freeze({
  replicaUrls: Object.freeze([]),
  max: 10,
  min: 0,
  connectConcurrency: 2,
  acquireTimeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  maxWaiting: Infinity,
  idleTimeoutMs: 10_000,
  maxLifetimeMs: 1_800_000,
  maxLifetimeJitter: 0.1,
  maxUses: Infinity,
  validateAfterIdleMs: 30_000,
  keepAliveMs: 10_000,
  allowExitOnIdle: false,
  queryTimeoutMs: false,
  cancelTimeoutMs: 2_000,
  slowQueryThresholdMs: false,
  leakThresholdMs: false,
  probeIntervalMs: 500,
  probeTimeoutMs: 500,
  probeFailureThreshold: 3,
  maxReplicaLagMs: 10_000,
  maxReplicaLagBytes: Infinity,
  replicaFallback: "primary",
  failoverTimeoutMs: 30_000,
  circuitBreaker: Object.freeze({ errorThresholdPercentage: 50, volumeThreshold: 5, windowMs: 10_000, resetMs: 5_000 }),
  retry: Object.freeze({ retries: 3, minDelayMs: 100, maxDelayMs: 5_000, budgetRatio: 0.1, budgetReserve: 20 }),
  pipeline: Object.freeze({ lanes: 4, maxDepth: 32 }),
  prepare: Object.freeze({ after: 2, maxPerConnection: 256 }),
  compat: "postgres",
  drainTimeoutMs: 10_000,
  logger: noLogger,
  clock: systemClock,
});

/** Options with every default filled in and every contradiction excluded. */
export interface ResolvedPoolOptions extends Readonly<
  Required<
    Omit<
      PoolOptions,
      | "primaryUrl"
      | "replicaUrls"
      | "applicationName"
      | "ssl"
      | "sslMode"
      | "password"
      | "circuitBreaker"
      | "retry"
      | "pipeline"
      | "prepare"
    >
  >
> {
  readonly servers: readonly ServerSpec[];
  readonly circuitBreaker: Required<CircuitBreakerOptions> | false;
  readonly retry: Required<RetryOptions> | false;
  readonly pipeline: Required<PipelineOptions> | false;
  readonly prepare: Required<PrepareOptions> | false;
  /** pg's hooks and its client class, kept as they were given. */
  readonly pg: Pick<pg.PoolConfig, "Client" | "verify" | "log" | "connectionTimeoutMillis"> & {
    /** pg awaits it, whatever its types say. */
    readonly onConnect?: ((client: pg.ClientBase) => void | Promise<void>) | undefined;
  };
}

/**
 * Fills in the defaults and checks everything at once.
 * @throws {InvalidPoolOptionsError} with every problem found
 */
export function resolvePoolOptions(config: PoolConfig): ResolvedPoolOptions {
  const problems: string[] = [];
  const given = { ...readPgNames(config, problems), ...withoutUndefined(config) } as PoolConfig & Partial<PoolOptions>;
  const { circuitBreaker, retry, compat = "postgres", ...flat } = given;
  const pooled = compat !== "postgres";
  const pipeline = given.pipeline ?? (pooled && compat !== "pgbouncer" ? false : undefined);
  const prepare = given.prepare ?? (pooled ? false : undefined);
  // A pool made with pg's names alone opens no connection pg would not have opened.
  const probed = config.primaryUrl !== undefined || (config.replicaUrls?.length ?? 0) > 0;
  const merged = { ...poolDefaults, ...(probed ? {} : { probeIntervalMs: false }), ...flat };
  const { Client, onConnect, verify, log, connectionTimeoutMillis } = config;
  const resolved: ResolvedPoolOptions = {
    ...pickKnown(merged),
    circuitBreaker: nested("circuitBreaker", circuitBreaker, poolDefaults.circuitBreaker, problems),
    retry: nested("retry", retry, poolDefaults.retry, problems),
    pipeline: nested("pipeline", pipeline === true ? {} : pipeline, poolDefaults.pipeline, problems),
    prepare: nested("prepare", prepare === true ? {} : prepare, poolDefaults.prepare, problems),
    compat,
    servers: resolveServers(config, merged as Pick<ResolvedPoolOptions, "keepAliveMs"> & PoolOptions, problems),
    pg: withoutUndefined({ Client, onConnect, verify, log, connectionTimeoutMillis }),
  };
  checkNumbers(resolved, problems);
  checkRelations(resolved, problems);
  if (problems.length > 0) throw new InvalidPoolOptionsError(problems);
  return Object.freeze(resolved);
}

const bounds: Readonly<Record<string, { least: number; whole?: true; off?: true; infinite?: true }>> = {
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
};

function checkNumbers(options: ResolvedPoolOptions, problems: string[]): void {
  for (const [name, { least, whole, off, infinite }] of Object.entries(bounds)) {
    const value = options[name as keyof ResolvedPoolOptions];
    if (off && value === false) continue;
    const fits =
      typeof value === "number" &&
      value >= least &&
      (!name.endsWith("Ms") || value < 2 ** 31 || value === Infinity) &&
      (infinite || Number.isFinite(value)) &&
      (!whole || Number.isInteger(value));
    if (fits) continue;
    const most = name.endsWith("Ms") ? " to 2147483647" : "";
    const expected = `${whole ? "a whole number" : "a number"} from ${least}${most}${infinite ? ", Infinity" : ""}${off ? " or false" : ""}`;
    problems.push(`${name} is ${show(value)}, not ${expected}`);
  }
}

const compats: readonly PoolCompat[] = ["postgres", "pgbouncer", "supavisor", "rds-proxy"];

function checkRelations(options: ResolvedPoolOptions, problems: string[]): void {
  if (options.min > options.max) problems.push(`min (${options.min}) is above max (${options.max})`);
  if (options.maxLifetimeJitter > 0.9) problems.push(`maxLifetimeJitter (${options.maxLifetimeJitter}) is above 0.9`);
  if (options.replicaFallback !== "primary" && options.replicaFallback !== "error") {
    problems.push(`replicaFallback is ${show(options.replicaFallback)}, not "primary" or "error"`);
  }
  if (options.servers.length > 1 && options.probeIntervalMs === false) {
    problems.push("probeIntervalMs is false with several servers: roles and lag could not be known");
  }
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

function nested<T extends object>(
  name: string,
  given: Partial<T> | false | undefined,
  defaults: T,
  problems: string[],
): T | false {
  if (given === false) return false;
  const merged = { ...defaults, ...withoutUndefined(given ?? {}) };
  for (const [key, value] of Object.entries(merged)) {
    if (!(key in defaults)) problems.push(`${name}.${key} is not an option`);
    else if (typeof value !== "number" || !(value >= 0)) {
      problems.push(`${name}.${key} is ${show(value)}, not a number from 0`);
    }
  }
  return merged;
}

function pickKnown(
  merged: object,
): Omit<ResolvedPoolOptions, "servers" | "circuitBreaker" | "retry" | "pipeline" | "prepare" | "compat" | "pg"> {
  const known = Object.keys(poolDefaults).filter((key) => key !== "replicaUrls");
  return Object.fromEntries(known.map((key) => [key, merged[key as never]])) as never;
}

/** `undefined` means the default, wherever it comes from. */
function withoutUndefined<T extends object>(of: T): T {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
}

function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}
