import { messageOf } from "@db/core";
import type { Pool } from "@db/pool";
import type { Flags, PlatformDefaults } from "../environment.ts";
import { LegacyNotInitializedError } from "../errors.ts";
import { type HealthWord, healthWord } from "../health-word.ts";
import { adoptDefaults, configureProcess, type Host, processHost, startHost } from "../host.ts";
import { recordUse } from "../use.ts";

/** What its `.env.example` set: one limit in every environment, and a longer first wait. */
const healthcareDefaults: PlatformDefaults = Object.freeze({
  platform: "Unified Healthcare",
  settings: () => ({ pool: { max: 10, retry: { initialDelayMs: 1_000 } } }),
});

/** Units as they were: mind that they differ. What is not given comes from the environment. */
export interface DatabaseManagerOptions {
  /** Most connections to each server. */
  readonly connectionLimit?: number;
  /** Longest wait for a connection, seconds. */
  readonly poolTimeout?: number;
  /** Seconds. */
  readonly connectTimeout?: number;
  /** Seconds. */
  readonly socketTimeout?: number;
  /** Milliseconds. */
  readonly queryTimeout?: number;
  /** Milliseconds. */
  readonly slowQueryThreshold?: number;
  readonly maxRetries?: number;
  /** Milliseconds. */
  readonly retryDelay?: number;
  /** Each wait is this many times the one before. */
  readonly retryBackoff?: number;
  /** Milliseconds. */
  readonly healthCheckInterval?: number;
  /** Whether reads may go to the replica. */
  readonly enableReadReplica?: boolean;
  readonly readReplicaUrl?: string;
}

export interface ManagerHealth {
  readonly healthy: boolean;
  readonly status: HealthWord;
  /** Of one `select 1` on the primary, milliseconds; null when it did not answer. */
  readonly latency: number | null;
  readonly readReplica: {
    readonly healthy: boolean;
    /** Milliseconds; null when it is not known. */
    readonly lag: number | null;
  } | null;
  /** What is wrong, one sentence each. */
  readonly issues: readonly string[];
  readonly timestamp: Date;
}

/** Since the manager connected. */
export interface ManagerMetrics {
  readonly connectionLimit: number;
  readonly totalConnections: number;
  readonly activeConnections: number;
  readonly idleConnections: number;
  readonly waitingRequests: number;
  readonly totalQueries: number;
  readonly failedQueries: number;
  readonly slowQueries: number;
  readonly retries: number;
  /** Milliseconds. */
  readonly averageQueryTime: number;
}

/** The connections of the process, in the words of the healthcare platform. */
export class DatabaseManager {
  readonly #host: Host;

  /** @internal made by `initializeDatabaseManager` */
  constructor(host: Host) {
    this.#host = host;
  }

  /** Connects to every server. May be called again. @throws {ServiceStartError} when the primary cannot be used */
  async connect(): Promise<void> {
    await startHost(this.#host, ["pool"]);
  }

  /** The pool, for queries and transactions. New: the old manager gave a client of its ORM. */
  getPool(): Pool {
    return this.#host.orchestrator.pool;
  }

  /** Asks the primary; the replica is judged by its last probe. Never throws. */
  async checkHealth(): Promise<ManagerHealth> {
    const timestamp = new Date();
    const startedAt = performance.now();
    try {
      const { pool } = this.#host.orchestrator;
      await pool.query("select 1");
      const latency = performance.now() - startedAt;
      const { status, checks } = pool.health();
      const issues = checks.flatMap(({ status: is, name, output }) =>
        is === "pass" ? [] : [`${name}: ${output ?? is}`],
      );
      const replica = pool.stats().servers.find(({ role }) => role === "standby");
      const readReplica = replica ? { healthy: replica.state === "up", lag: replica.lagMs ?? null } : null;
      return { healthy: status !== "fail", status: healthWord(status), latency, readReplica, issues, timestamp };
    } catch (error) {
      const issues = [messageOf(error)];
      return { healthy: false, status: "unhealthy", latency: null, readReplica: null, issues, timestamp };
    }
  }

  /** Asks no server. */
  getMetrics(): ManagerMetrics {
    const stats = this.#host.orchestrator.pool.stats();
    return {
      connectionLimit: stats.max,
      totalConnections: stats.total,
      activeConnections: stats.checkedOut,
      idleConnections: stats.idle,
      waitingRequests: stats.waiting,
      totalQueries: stats.queries,
      failedQueries: stats.failedQueries,
      slowQueries: stats.slowQueries,
      retries: stats.retries,
      averageQueryTime: stats.averageQueryMs,
    };
  }

  /** Lets what runs finish, within the pool's bound, and closes. Afterwards `connect` works again. */
  async disconnect(): Promise<void> {
    await this.#host.close();
  }
}

let singleton: DatabaseManager | undefined;

/**
 * Makes the manager of the process. A second call gives the same one; other options are then told by a warning and
 * have no effect while the first ones are in force.
 */
export function initializeDatabaseManager(options: DatabaseManagerOptions = {}): DatabaseManager {
  recordUse("initializeDatabaseManager");
  adoptDefaults(healthcareDefaults);
  configureProcess(flagsOf(options), "initializeDatabaseManager");
  return (singleton ??= new DatabaseManager(processHost));
}

/** @throws {LegacyNotInitializedError} before `initializeDatabaseManager` */
export function getDatabaseManager(): DatabaseManager {
  recordUse("getDatabaseManager");
  if (singleton) return singleton;
  throw new LegacyNotInitializedError("the database manager is not initialised", {
    hint: "Call initializeDatabaseManager() at start-up.",
  });
}

function flagsOf(options: DatabaseManagerOptions): Flags {
  const ms = (seconds: number | undefined): number | undefined => (seconds === undefined ? undefined : seconds * 1_000);
  const flags: Record<string, unknown> = {
    "pool.max": options.connectionLimit,
    "pool.acquireTimeoutMs": ms(options.poolTimeout),
    "pool.connectTimeoutMs": ms(options.connectTimeout),
    "pool.socketTimeoutMs": ms(options.socketTimeout),
    "pool.queryTimeoutMs": options.queryTimeout,
    "pool.slowQueryThresholdMs": options.slowQueryThreshold,
    "pool.retry.maxRetries": options.maxRetries,
    "pool.retry.initialDelayMs": options.retryDelay,
    "pool.retry.multiplier": options.retryBackoff,
    "pool.healthCheckIntervalMs": options.healthCheckInterval,
    "features.readReplicas": options.enableReadReplica,
    "connection.replicaUrls": options.readReplicaUrl === undefined ? undefined : [options.readReplicaUrl],
  };
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}
