import { type Clock, messageOf, systemClock } from "@db/core";
import type pg from "pg";
import { LegacyCircuitOpenError, LegacyNotInitializedError, LegacyShutDownError } from "../errors.ts";
import { legacyLogger } from "../host.ts";
import { recordUse, warn } from "../use.ts";
import { Circuit, type CircuitBreakerState } from "./circuit.ts";
import {
  closePool,
  inTransaction,
  isServerFailure,
  mayRetry,
  retryDelayMs,
  type ServicePool,
  serviceRetry,
  withClient,
} from "./service-pool.ts";

/** What became of an operation; nothing is ever thrown. Durations are milliseconds. */
export type DatabaseResult<T = unknown> =
  | {
      readonly success: true;
      readonly data: T;
      readonly error?: undefined;
      readonly executionTime: number;
      readonly retries: number;
    }
  | {
      readonly success: false;
      readonly data?: undefined;
      readonly error: Error;
      readonly executionTime: number;
      readonly retries: number;
    };

export interface HealthCheckResult {
  readonly healthy: boolean;
  readonly connected: boolean;
  /** Connections open now. */
  readonly poolSize: number;
  /** Open ones that are free. */
  readonly availableConnections: number;
  readonly waitingRequests: number;
  readonly totalConnections: number;
  /** Time this check took to get a connection, milliseconds. */
  readonly avgResponseTime: number;
  readonly error?: Error;
  readonly timestamp: Date;
}

export interface DatabaseMetrics {
  /** Operations of `executeQuery`, failed ones included. */
  readonly totalQueries: number;
  readonly failedQueries: number;
  readonly slowQueries: number;
  readonly retries: number;
  /** Of those that succeeded, retries included, milliseconds. */
  readonly avgResponseTime: number;
  /** Milliseconds. */
  readonly slowQueryThreshold: number;
  readonly circuitBreakerState: CircuitBreakerState;
  readonly timestamp: Date;
}

/** How one operation is run. New: old callers never gave it. */
export interface ExecuteOptions {
  /**
   * True when running the operation twice does no harm. It is then also retried after a failure that left open
   * whether it took effect. Default false.
   */
  readonly idempotent?: boolean;
}

const slowQueryThreshold = 1_000;

/**
 * Runs operations with retries, a circuit breaker and metrics, on the pool it is given. One per process, the same as
 * `databaseService`.
 */
export class DatabaseService {
  static #instance: DatabaseService | undefined;
  readonly #clock: Clock;
  #pool: ServicePool | undefined;
  #circuit: Circuit;
  #shutdown: Promise<void> | undefined;
  #counters = { totalQueries: 0, failedQueries: 0, slowQueries: 0, retries: 0, succeededMs: 0 };

  private constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#circuit = new Circuit(clock);
  }

  static getInstance(): DatabaseService {
    recordUse("DatabaseService");
    return DatabaseService.shared();
  }

  /** @internal without counting a use */
  static shared(): DatabaseService {
    return (DatabaseService.#instance ??= new DatabaseService());
  }

  /**
   * Takes the pool to work on. A second call while there is one is skipped: with a warning for another pool, and for any
   * while the service shuts down.
   */
  initialize(pool: ServicePool): void {
    recordUse("databaseService");
    if (this.#pool) {
      const reason = this.#shutdown
        ? "is shutting down"
        : this.#pool === pool
          ? undefined
          : "works on another pool already";
      if (reason) warn(`DatabaseService ${reason}; this pool is not used`, "DB_LEGACY_CONFIGURATIONS");
      return;
    }
    this.#pool = pool;
    this.#shutdown = undefined;
    this.#circuit = new Circuit(this.#clock);
  }

  /**
   * Runs `operation` and tells what became of it; never throws. It is retried, at most three times with pauses of
   * 100 ms doubling to 5 s, where nothing of it can have taken effect.
   */
  async executeQuery<T>(
    operation: () => PromiseLike<T>,
    operationName: string = "query",
    options?: ExecuteOptions,
  ): Promise<DatabaseResult<T>> {
    recordUse("databaseService");
    const startedAt = performance.now();
    let retries = 0;
    this.#counters.totalQueries += 1;
    for (;;) {
      const refusal = this.#refusal(operationName);
      if (refusal) return this.#failed(operationName, refusal, startedAt, retries);
      try {
        const data = await operation();
        this.#circuit.succeeded();
        const executionTime = performance.now() - startedAt;
        this.#succeeded(operationName, executionTime);
        return { success: true, data, executionTime, retries };
      } catch (error) {
        if (isServerFailure(error)) this.#circuit.failed(error);
        // A server that answers with an error of the statement is there.
        else this.#circuit.succeeded();
        if (
          retries >= serviceRetry.most ||
          !mayRetry(error, options?.idempotent ?? false) ||
          !(await this.#pause(retries))
        ) {
          return this.#failed(operationName, error, startedAt, retries);
        }
        retries += 1;
        this.#counters.retries += 1;
      }
    }
  }

  /**
   * Commits when `callback` returns, rolls back when it throws, and throws that error on.
   * @throws {LegacyNotInitializedError} @throws {LegacyShutDownError}
   * @throws {TransactionOutcomeUnknownError} when COMMIT was sent and its answer was lost
   */
  async withTransaction<T>(callback: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    recordUse("databaseService");
    if (this.#shutdown) throw new LegacyShutDownError();
    if (!this.#pool) throw notInitialized();
    return await inTransaction(this.#pool, callback);
  }

  /** Asks the server for its time. Never throws. */
  async healthCheck(): Promise<HealthCheckResult> {
    recordUse("databaseService");
    const pool = this.#shutdown ? undefined : this.#pool;
    const startedAt = performance.now();
    let avgResponseTime = 0;
    let error: Error | undefined;
    try {
      if (!pool) throw this.#shutdown ? new LegacyShutDownError() : notInitialized();
      const ask = (client: pg.PoolClient): Promise<unknown> => {
        avgResponseTime = performance.now() - startedAt;
        return client.query("select now()");
      };
      await withClient(pool, ask, () => true);
    } catch (failure) {
      error = asError(failure);
    }
    const result = {
      healthy: error === undefined,
      connected: error === undefined,
      poolSize: pool?.totalCount ?? 0,
      availableConnections: pool?.idleCount ?? 0,
      waitingRequests: pool?.waitingCount ?? 0,
      totalConnections: pool?.totalCount ?? 0,
      avgResponseTime: error === undefined ? avgResponseTime : 0,
      timestamp: new Date(),
    };
    return error === undefined ? result : { ...result, error };
  }

  /** Asks no server. */
  getMetrics(): DatabaseMetrics {
    recordUse("databaseService");
    const { succeededMs, ...counts } = this.#counters;
    const succeeded = counts.totalQueries - counts.failedQueries;
    return {
      ...counts,
      avgResponseTime: succeeded === 0 ? 0 : succeededMs / succeeded,
      slowQueryThreshold,
      circuitBreakerState: this.#circuit.state,
      timestamp: new Date(),
    };
  }

  /** Ends the pool and lets what runs finish. Called again, it waits for the same end. */
  shutdown(): Promise<void> {
    recordUse("databaseService");
    if (!this.#shutdown && this.#pool) {
      this.#shutdown = closePool(this.#pool)
        .catch((error: unknown) => legacyLogger().error({ err: error }, "the pool did not close cleanly"))
        .finally(() => (this.#pool = undefined));
    }
    return this.#shutdown ?? Promise.resolve();
  }

  #failed(operation: string, error: unknown, startedAt: number, retries: number): DatabaseResult<never> {
    this.#counters.failedQueries += 1;
    legacyLogger().error({ operation, retries, err: error }, `operation failed: ${messageOf(error)}`);
    return { success: false, error: asError(error), executionTime: performance.now() - startedAt, retries };
  }

  #refusal(operation: string): Error | undefined {
    if (this.#shutdown) return new LegacyShutDownError();
    if (!this.#pool) return notInitialized();
    return this.#circuit.admit() ? undefined : new LegacyCircuitOpenError(operation, this.#circuit.lastFailure);
  }

  async #pause(retries: number): Promise<boolean> {
    await this.#clock.sleep(retryDelayMs(retries));
    return this.#shutdown === undefined;
  }

  #succeeded(operation: string, executionTime: number): void {
    this.#counters.succeededMs += executionTime;
    if (executionTime <= slowQueryThreshold) return;
    this.#counters.slowQueries += 1;
    legacyLogger().warn({ operation, executionTime, threshold: slowQueryThreshold }, "slow operation");
  }
}

/** The service of the process. Give it a pool by `initialize` first. */
export const databaseService: DatabaseService = DatabaseService.shared();

function notInitialized(): LegacyNotInitializedError {
  return new LegacyNotInitializedError("the database service has no pool yet", {
    hint: "Call databaseService.initialize(getDatabaseOrchestrator().getConnectionManager().getPool()) at start-up.",
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
