import { type Clock, type Logger, noLogger, systemClock } from "@db/core";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type pg from "pg";
import type { PrepareOptions } from "./auto-prepare.ts";
import { InvalidPoolOptionsError } from "./errors.ts";
import type { PipelineOptions } from "./lane-executor.ts";
import { checkNames, readPgNames } from "./pg-names.ts";
import type { LoadBalance } from "./balance.ts";
import type { Consistency } from "./consistency.ts";
import { checkNumbers, checkRelations, show } from "./option-checks.ts";
import { type ResolvedServers, resolveServers, type WeightedReplica } from "./server-spec.ts";
import {
  type DefaultRoute,
  plainRoute,
  readWishes,
  type TargetSessionAttrs,
  targetSessionRoutes,
} from "./target-session.ts";
import type { SqlTags } from "./sql-comment.ts";
import type { SslMode } from "./tls-mode.ts";
import type { TopologyProvider } from "./topology-provider.ts";

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
  /** Each bound is this many times the one before. 1 keeps it as it is. Default 2. */
  readonly factor?: number;
  /** Largest bound. Default 5 000. */
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
  /**
   * The primary, as a `postgres://` URL or as libpq's `host=… port=… dbname=…`; with several hosts in it, whichever of
   * them accepts writes, and the others are replicas.
   */
  readonly primaryUrl: string;
  /**
   * Standbys that may serve reads, each with a weight where their shares differ. They need the same database, user and
   * password rules as the primary.
   */
  readonly replicaUrls?: readonly (string | WeightedReplica)[];
  /**
   * Who says which servers there are, and what they are. `probe` asks the servers named here and follows a failover
   * among them. `static` believes the names: for addresses that lead to whichever server has the role, such as those of
   * HAProxy or of a hosted cluster. A provider, such as `patroni(…)`, adds and removes servers while the pool runs.
   * Default `probe`.
   */
  readonly topology?: "probe" | "static" | TopologyProvider;
  /**
   * libpq's word for what the servers must be. It decides where statements go that name no target, and with `standby`
   * and `read-only` there is no fallback to the primary. Default: what the URL says, or the primary.
   */
  readonly targetSessionAttrs?: TargetSessionAttrs;
  /** How a replica is chosen among those that are fit. Default `least-in-flight`, both by weight. */
  readonly loadBalance?: LoadBalance;
  /** What reads on replicas see, where a statement says nothing else. Default `eventual`. */
  readonly consistency?: Consistency;
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
  /** What happens to it: with `reclaim`, one that runs nothing is also closed and replaced. Default `report`. */
  readonly leakAction?: "report" | "reclaim";
  /**
   * What becomes of a statement through `pool.query` that would change the session of whoever has the connection next
   * (`set`, `listen`, `begin`, a temporary table, a session's advisory lock). Default `refuse`; for a pool made with
   * pg's names alone `keep`, as pg does.
   */
  readonly sessionState?: "refuse" | "keep";
  /**
   * What `connect()` lends. `per-checkout`: a handle of its borrower's own, which says so whenever it is used or released
   * again after its release, where pg would act on whoever has the connection by then. `per-connection`: one handle for
   * each connection, which the pool's events show too, for those who know a connection by its client, as Kysely's own
   * dialect does; it says so until `connect()` lends the connection again. `false`: pg's own object. Default
   * `per-checkout`; with `sessionState: "keep"` `false`.
   */
  readonly clientHandles?: "per-checkout" | "per-connection" | false;
  /**
   * Written behind each statement, as sqlcommenter does, for the server's log. Tags that change, from a function or
   * from a statement's own options, only where statements are not prepared. Default: none.
   */
  readonly tags?: SqlTags | (() => SqlTags);

  /**
   * Pause between two probes of a server, on a connection of their own. Default 500; for a pool of one server
   * made with pg's names alone `false`, so that it opens no connection pg would not have opened.
   */
  readonly probeIntervalMs?: number | false;
  /** A probe without an answer fails after this; its first connection has `connectTimeoutMs`. Default 500. */
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
      | "targetSessionAttrs"
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
  topology: "probe",
  loadBalance: "least-in-flight",
  consistency: "eventual",
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
  leakAction: "report",
  sessionState: "refuse",
  clientHandles: "per-checkout",
  tags: {},
  probeIntervalMs: 500,
  probeTimeoutMs: 500,
  probeFailureThreshold: 3,
  maxReplicaLagMs: 10_000,
  maxReplicaLagBytes: Infinity,
  replicaFallback: "primary",
  failoverTimeoutMs: 30_000,
  circuitBreaker: Object.freeze({ errorThresholdPercentage: 50, volumeThreshold: 5, windowMs: 10_000, resetMs: 5_000 }),
  retry: Object.freeze({
    retries: 3,
    minDelayMs: 100,
    factor: 2,
    maxDelayMs: 5_000,
    budgetRatio: 0.1,
    budgetReserve: 20,
  }),
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
      | "targetSessionAttrs"
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
  readonly servers: ResolvedServers["servers"];
  readonly newServers: Pick<ResolvedServers, "specOf" | "replicasOf">;
  /** Where statements go that name no target. */
  readonly route: DefaultRoute;
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
  const { primaryUrl, replicaUrls, topology, targetSessionAttrs } = config;
  const ours = [primaryUrl, replicaUrls?.[0], topology, targetSessionAttrs].some((each) => each !== undefined);
  const resolved = resolveServers(
    config,
    { ...poolDefaults, ...flat } as Pick<ResolvedPoolOptions, "keepAliveMs"> & PoolOptions,
    problems,
  );
  // A pool made with pg's names alone opens no connection pg would not have opened, unless it has to choose.
  const choosy = resolved.servers.length > 1 || readWishes(config.connectionString).targetSessionAttrs !== undefined;
  const likePg: Pick<PoolOptions, "probeIntervalMs" | "sessionState"> = {
    ...(ours || choosy ? {} : { probeIntervalMs: false }),
    ...(ours ? {} : { sessionState: "keep" }),
  };
  const kept = (flat.sessionState ?? likePg.sessionState) === "keep" ? ({ clientHandles: false } as const) : {};
  const merged = { ...poolDefaults, ...likePg, ...kept, ...flat };
  const { Client, onConnect, verify, log, connectionTimeoutMillis } = config;
  const options: ResolvedPoolOptions = {
    ...pickKnown(merged),
    circuitBreaker: nested("circuitBreaker", circuitBreaker, poolDefaults.circuitBreaker, problems),
    retry: nested("retry", retry, poolDefaults.retry, problems),
    pipeline: nested("pipeline", pipeline === true ? {} : pipeline, poolDefaults.pipeline, problems),
    prepare: nested("prepare", prepare === true ? {} : prepare, poolDefaults.prepare, problems),
    compat,
    servers: resolved.servers,
    newServers: resolved,
    ...wishesOf(config, merged as PoolOptions, problems),
    pg: withoutUndefined({ Client, onConnect, verify, log, connectionTimeoutMillis }),
  };
  if (primaryUrl !== undefined) checkNames(config, Object.keys(poolDefaults), problems);
  checkNumbers(options, problems);
  checkRelations(options, problems);
  if (problems.length > 0) throw new InvalidPoolOptionsError(problems);
  return Object.freeze(options);
}

/** What the options and the URL together wish of routing. */
function wishesOf(
  config: PoolConfig,
  merged: PoolOptions,
  problems: string[],
): Pick<ResolvedPoolOptions, "route" | "loadBalance" | "replicaFallback"> {
  const said = readWishes(config.primaryUrl ?? config.connectionString);
  const attrs = config.targetSessionAttrs ?? (said.targetSessionAttrs as TargetSessionAttrs | undefined);
  if (config.targetSessionAttrs !== undefined && (said.targetSessionAttrs ?? attrs) !== attrs) {
    problems.push(`targetSessionAttrs is ${show(attrs)}, but the URL says "${said.targetSessionAttrs}"`);
  }
  if (attrs !== undefined && !Object.hasOwn(targetSessionRoutes, attrs)) {
    problems.push(`targetSessionAttrs is ${show(attrs)}, not one of ${Object.keys(targetSessionRoutes).join(", ")}`);
  }
  const route = (attrs === undefined ? undefined : targetSessionRoutes[attrs]) ?? plainRoute;
  if (route.replicaFallback !== undefined && config.replicaFallback !== undefined) {
    if (config.replicaFallback !== route.replicaFallback) {
      problems.push(`replicaFallback is ${show(config.replicaFallback)}, but targetSessionAttrs is ${show(attrs)}`);
    }
  }
  // libpq's `disable`, which is its default and nobody's wish, leaves the choice to the pool.
  const random = said.loadBalanceHosts === "random" && config.loadBalance === undefined;
  return {
    route,
    loadBalance: random ? "random" : (merged.loadBalance ?? poolDefaults.loadBalance),
    replicaFallback: route.replicaFallback ?? merged.replicaFallback ?? poolDefaults.replicaFallback,
  };
}

function nested<T extends object>(
  name: string,
  given: Partial<T> | false | undefined,
  defaults: T,
  problems: string[],
): T | false {
  if (given === false) return false;
  if (given !== undefined && typeof given !== "object")
    problems.push(`${name} is ${show(given)}, not its options or false`);
  const merged = { ...defaults, ...withoutUndefined(given ?? {}) };
  for (const key of Object.keys(merged)) {
    if (!(key in defaults)) problems.push(`${name}.${key} is not an option`);
  }
  return merged;
}

function pickKnown(
  merged: object,
): Omit<
  ResolvedPoolOptions,
  "servers" | "newServers" | "route" | "circuitBreaker" | "retry" | "pipeline" | "prepare" | "compat" | "pg"
> {
  const known = Object.keys(poolDefaults).filter((key) => key !== "replicaUrls");
  return Object.fromEntries(known.map((key) => [key, merged[key as never]])) as never;
}

/** `undefined` means the default, wherever it comes from. */
function withoutUndefined<T extends object>(of: T): T {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
}
