import { systemClock } from "@db/core";
import { type Pool, type ReadYourWrites, type Transaction } from "@db/pool";
import type pg from "pg";
import { LegacyAlreadyExistsError } from "../errors.ts";
import { configureProcess, createHost, type Host, processHost, startHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { type ConnectionManagerConfig, flagsOf } from "./connection-options.ts";
import { looksLikeRead, needsPrimary } from "./read-routing.ts";
import { mayRetry } from "./service-pool.ts";

/** How a transaction is repeated. */
export interface ManagerTransactionOptions {
  /** Further attempts after an error that is safe to retry. Default 0. */
  readonly maxRetries?: number;
  /** Called after each failed attempt; `attempt` begins at 1. */
  readonly onError?: (error: Error, attempt: number) => void;
  /** Bound of one attempt, milliseconds. */
  readonly timeout?: number;
  /** Wait after attempt `attempt`, which begins at 0, milliseconds. Default 1 000, doubling up to 10 000. */
  readonly retryDelay?: (attempt: number) => number;
}

export interface ConnectionMetrics {
  readonly totalConnections: number;
  readonly idleConnections: number;
  readonly activeConnections: number;
  readonly waitingClients: number;
  readonly totalQueries: number;
  /** Milliseconds. */
  readonly averageQueryTime: number;
  readonly errorCount: number;
  /** 0 to 100. */
  readonly utilizationPercent: number;
  readonly lastHealthCheck: Date;
  /** Since this manager was made, milliseconds. */
  readonly uptime: number;
}

const once = Object.freeze({ retries: 0 });

/** There is one database now: the three old parts of the answer say the same. */
export interface ConnectionHealth {
  readonly operational: boolean;
  readonly analytics: boolean;
  readonly security: boolean;
  readonly overall: boolean;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly latencyMs?: number;
}

export interface PoolCounts {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

export interface PoolStatus {
  readonly primary: PoolCounts;
  readonly readReplicas: readonly (PoolCounts & { readonly index: number })[];
  readonly metrics: ConnectionMetrics;
}

/**
 * Connections to the primary and its replicas. Reads go to a replica that has what this manager wrote, and to the
 * primary while none has. Made without options it takes everything from the environment.
 */
export class UnifiedConnectionManager {
  readonly #host: Host;
  readonly #madeAt = Date.now();
  #stream: { readonly pool: Pool; readonly session: ReadYourWrites } | undefined;
  #lastHealthCheck = new Date();

  constructor(config: ConnectionManagerConfig = {}, host?: Host) {
    if (!host) recordUse("UnifiedConnectionManager");
    this.#host = host ?? createHost(flagsOf(config));
  }

  /** @internal what it works on */
  get host(): Host {
    return this.#host;
  }

  /** Connects to every server. May be called again. @throws {ServiceStartError} when the primary cannot be used */
  async initialize(): Promise<void> {
    await startHost(this.#host, ["pool"]);
  }

  /** The pool itself, which is a `pg.Pool`. Everything asked of it directly goes to the primary. */
  getPool(): Pool {
    return this.#host.orchestrator.pool;
  }

  /**
   * Runs one statement, a read on a replica where there is one.
   * @throws as the pool's `query`
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- the old type
  async query<R extends pg.QueryResultRow = any>(
    text: string,
    params?: readonly unknown[],
    useReadReplica: boolean = true,
  ): Promise<pg.QueryResult<R>> {
    return await this.run<R>(text, params, useReadReplica);
  }

  /** As `query`, for any statement that pg takes. @internal */
  // oxlint-disable-next-line typescript/no-explicit-any -- the old type
  async run<R extends pg.QueryResultRow = any>(
    statement: string | pg.QueryConfig,
    params: readonly unknown[] | undefined,
    useReadReplica: boolean,
  ): Promise<pg.QueryResult<R>> {
    const pool = this.getPool();
    const stream = this.#streamOf(pool);
    if (!stream) return await pool.query<R>(statement as string, params);
    if (useReadReplica && looksLikeRead(typeof statement === "string" ? statement : statement.text)) {
      try {
        return await stream.query<R>(statement, params, { target: "replica" });
      } catch (error) {
        if (!needsPrimary(error)) throw error;
      }
    }
    return await stream.query<R>(statement, params);
  }

  /** A client of the primary; give it back by `client.release()`. */
  getWriteConnection(): Promise<pg.PoolClient> {
    return this.getPool().connect();
  }

  /** A client of a replica, or of the primary where no replica is fit; give it back by `client.release()`. */
  getReadConnection(): Promise<pg.PoolClient> {
    const pool = this.getPool();
    return pool.connect({ target: pool.stats().servers.length > 1 ? "replica" : "primary" });
  }

  /** Commits when `callback` returns, rolls back when it throws; by default it runs once. */
  async withTransaction<T>(
    callback: (tx: Transaction) => Promise<T>,
    options: ManagerTransactionOptions = {},
  ): Promise<T> {
    const {
      maxRetries = 0,
      onError,
      timeout,
      retryDelay = (attempt) => Math.min(1_000 * 2 ** attempt, 10_000),
    } = options;
    const pool = this.getPool();
    const source = this.#streamOf(pool) ?? pool;
    const bound = timeout === undefined ? {} : { timeoutMs: timeout };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await source.withTransaction(callback, { retries: 0, ...bound });
      } catch (error) {
        onError?.(error instanceof Error ? error : new Error(String(error)), attempt + 1);
        if (attempt >= maxRetries || !mayRetry(error, false)) throw error;
        await systemClock.sleep(retryDelay(attempt));
      }
    }
  }

  /** As `withTransaction`, in the words of the old pool. */
  async transaction<T>(callback: (client: Transaction) => Promise<T>): Promise<T> {
    const pool = this.getPool();
    return await (this.#streamOf(pool) ?? pool).withTransaction(callback, once);
  }

  /** Asks the primary. Never throws. */
  async checkDatabaseHealth(): Promise<ConnectionHealth> {
    const startedAt = performance.now();
    let overall = true;
    try {
      await this.getPool().query("select 1");
    } catch {
      overall = false;
    }
    this.#lastHealthCheck = new Date();
    const answer = { operational: overall, analytics: overall, security: overall, overall };
    const timestamp = this.#lastHealthCheck.toISOString();
    return overall ? { ...answer, timestamp, latencyMs: performance.now() - startedAt } : { ...answer, timestamp };
  }

  /** Asks no server. */
  getMetrics(): ConnectionMetrics {
    const stats = this.getPool().stats();
    return {
      totalConnections: stats.total,
      idleConnections: stats.idle,
      activeConnections: stats.checkedOut,
      waitingClients: stats.waiting,
      totalQueries: stats.queries,
      averageQueryTime: stats.averageQueryMs,
      errorCount: stats.failedQueries + stats.idleFailures,
      utilizationPercent: stats.utilization * 100,
      lastHealthCheck: this.#lastHealthCheck,
      uptime: Date.now() - this.#madeAt,
    };
  }

  getPoolStatus(): PoolStatus {
    const { servers } = this.getPool().stats();
    const isReplica = ({ role }: { readonly role: string }): boolean => role === "standby";
    const counts = ({ total, idle, waiting }: { total: number; idle: number; waiting: number }): PoolCounts => ({
      totalCount: total,
      idleCount: idle,
      waitingCount: waiting,
    });
    const primary = servers.find(({ role }) => role === "primary") ?? servers[0]!;
    const replicas = servers.filter((server) => server !== primary && isReplica(server));
    return {
      primary: counts(primary),
      readReplicas: replicas.map((server, index) => ({ index, ...counts(server) })),
      metrics: this.getMetrics(),
    };
  }

  /** Lets what runs finish, at most 10 s, and closes. May be called again. */
  async close(): Promise<void> {
    await this.#host.close();
  }

  /** The same: after its bound, closing cuts off what still runs. */
  async forceClose(): Promise<void> {
    await this.#host.close();
  }

  /** With replicas, one stream of work, so that a read sees what was written before it; without, the pool itself. */
  #streamOf(pool: Pool): ReadYourWrites | undefined {
    const { connection, features } = this.#host.config;
    if (!features.readReplicas || !connection || connection.replicaUrls.length === 0) return undefined;
    if (this.#stream?.pool !== pool) this.#stream = { pool, session: pool.session() };
    return this.#stream.session;
  }
}

let singleton: UnifiedConnectionManager | undefined;
let shared: UnifiedConnectionManager | undefined;

/** The manager of the process: what every singleton of this package works on. */
export function processManager(): UnifiedConnectionManager {
  return (shared ??= new UnifiedConnectionManager({}, processHost));
}

/**
 * Makes the manager of the process and connects.
 * @throws {LegacyAlreadyExistsError} when there is one; @throws {ServiceStartError} when the primary cannot be used
 */
export function createConnectionManager(config: ConnectionManagerConfig = {}): Promise<UnifiedConnectionManager> {
  recordUse("createConnectionManager");
  return createSingleton(config, "createConnectionManager");
}

/** The manager of the process; made from the environment when `createConnectionManager` was not called. */
export function getConnectionManager(): UnifiedConnectionManager {
  recordUse("getConnectionManager");
  return singleton ?? processManager();
}

/** Closes the manager of the process; does nothing when there is none. */
export function closeConnectionManager(): Promise<void> {
  recordUse("closeConnectionManager");
  return closeSingleton();
}

/** @see createConnectionManager */
export function createConnectionPool(config: ConnectionManagerConfig = {}): Promise<UnifiedConnectionManager> {
  recordUse("createConnectionPool");
  return createSingleton(config, "createConnectionPool");
}

/** @see getConnectionManager */
export function getConnectionPool(): UnifiedConnectionManager {
  recordUse("getConnectionPool");
  return singleton ?? processManager();
}

/** @see closeConnectionManager */
export function closeConnectionPool(): Promise<void> {
  recordUse("closeConnectionPool");
  return closeSingleton();
}

async function createSingleton(config: ConnectionManagerConfig, name: string): Promise<UnifiedConnectionManager> {
  if (singleton) {
    throw new LegacyAlreadyExistsError("the connection manager of this process exists already", {
      hint: "Take it from getConnectionManager(), or close it first.",
    });
  }
  const flags = flagsOf(config);
  // Asked for other settings than those in force, it gets a pool of its own: the wrong database would be worse.
  const isShared = Object.keys(flags).length === 0 || configureProcess(flags, name);
  singleton = isShared ? processManager() : new UnifiedConnectionManager({}, createHost(flags));
  try {
    await singleton.initialize();
    return singleton;
  } catch (error) {
    singleton = undefined;
    throw error;
  }
}

async function closeSingleton(): Promise<void> {
  const closing = singleton ?? (processHost.isOpen ? processManager() : undefined);
  singleton = undefined;
  await closing?.close();
  // Its settings go with it.
  if (!processHost.isOpen) configureProcess({}, "closeConnectionManager");
}
