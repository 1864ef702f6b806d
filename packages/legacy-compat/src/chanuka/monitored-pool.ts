import { messageOf, systemClock } from "@db/core";
import { Pool } from "@db/pool";
import type pg from "pg";
import { recordUse } from "../use.ts";
import { closePool, mayRetry, retryDelayMs, type ServicePool, serviceRetry, withClient } from "./service-pool.ts";
import { environmentPoolConfig } from "./pool-config.ts";

export interface MonitoredPoolMetrics {
  readonly totalConnections: number;
  readonly idleConnections: number;
  readonly activeConnections: number;
  readonly waitingRequests: number;
  /** Clients lent by `connectWithRetry` so far. */
  readonly totalAcquired: number;
  /** Attempts to lend one that failed. */
  readonly failedAcquires: number;
  /** Of those that succeeded, retries included, milliseconds. */
  readonly avgAcquireTime: number;
  readonly timestamp: Date;
}

/** A pool that counts what it lends and tries again to connect. */
export class MonitoredPool {
  readonly #pool: ServicePool;
  #acquired = 0;
  #failed = 0;
  #acquireMs = 0;
  #closing: Promise<void> | undefined;

  /** Takes a pool, or what to make one of; without either, the environment says. */
  constructor(poolOrConfig?: ServicePool | pg.PoolConfig) {
    recordUse("MonitoredPool");
    this.#pool = isPool(poolOrConfig) ? poolOrConfig : new Pool(poolOrConfig ?? environmentPoolConfig());
  }

  /**
   * A client; give it back by `client.release()`. Failures to connect are retried, with pauses of 100 ms doubling to 5 s.
   * @param maxRetries default 3
   * @throws the last failure
   */
  async connectWithRetry(maxRetries: number = serviceRetry.most): Promise<pg.PoolClient> {
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      try {
        const client = await this.#pool.connect();
        this.#acquired += 1;
        this.#acquireMs += performance.now() - startedAt;
        return client;
      } catch (error) {
        this.#failed += 1;
        // Nothing was sent: connecting again does no harm.
        if (attempt >= maxRetries || this.#closing || !mayRetry(error, true)) throw error;
        await systemClock.sleep(retryDelayMs(attempt));
      }
    }
  }

  getPool(): ServicePool {
    return this.#pool;
  }

  /** Asks no server. */
  getMetrics(): MonitoredPoolMetrics {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return {
      totalConnections: totalCount,
      idleConnections: idleCount,
      activeConnections: totalCount - idleCount,
      waitingRequests: waitingCount,
      totalAcquired: this.#acquired,
      failedAcquires: this.#failed,
      avgAcquireTime: this.#acquired === 0 ? 0 : this.#acquireMs / this.#acquired,
      timestamp: new Date(),
    };
  }

  /** Asks the server. Never throws. */
  async healthCheck(): Promise<{ readonly healthy: boolean; readonly error?: string }> {
    try {
      await withClient(
        this.#pool,
        (client) => client.query("select 1"),
        () => true,
      );
      return { healthy: true };
    } catch (error) {
      return { healthy: false, error: messageOf(error) };
    }
  }

  /** Lets what runs finish and closes. May be called again. */
  shutdown(): Promise<void> {
    return (this.#closing ??= closePool(this.#pool));
  }
}

function isPool(value: ServicePool | pg.PoolConfig | undefined): value is ServicePool {
  return typeof (value as ServicePool | undefined)?.connect === "function";
}
