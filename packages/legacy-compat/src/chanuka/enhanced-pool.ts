import { messageOf } from "@db/core";
import { Pool } from "@db/pool";
import type pg from "pg";
import { recordUse } from "../use.ts";
import type { CircuitBreakerState } from "./circuit.ts";
import { environmentPoolConfig } from "./pool-config.ts";

export interface EnhancedPoolMetrics {
  readonly totalConnections: number;
  readonly idleConnections: number;
  readonly activeConnections: number;
  readonly waitingClients: number;
  readonly totalQueries: number;
  readonly failedQueries: number;
  readonly slowQueries: number;
  /** Milliseconds. */
  readonly averageQueryTime: number;
  readonly circuitBreakerState: CircuitBreakerState;
}

export interface EnhancedPoolHealth {
  readonly healthy: boolean;
  /** Milliseconds. */
  readonly responseTime: number;
  readonly circuitBreakerState: CircuitBreakerState;
  readonly error?: string;
}

const states = { closed: "CLOSED", "half-open": "HALF_OPEN", open: "OPEN", off: "CLOSED" } as const;

/** A `pg.Pool` with a circuit breaker, metrics and health. Without options it takes those of the environment. */
export class EnhancedPool extends Pool {
  constructor(config?: pg.PoolConfig) {
    recordUse("EnhancedPool");
    super(config ?? environmentPoolConfig());
  }

  /** Asks no server. */
  getMetrics(): EnhancedPoolMetrics {
    const stats = this.stats();
    return {
      totalConnections: stats.total,
      idleConnections: stats.idle,
      activeConnections: stats.checkedOut,
      waitingClients: stats.waiting,
      totalQueries: stats.queries,
      failedQueries: stats.failedQueries,
      slowQueries: stats.slowQueries,
      averageQueryTime: stats.averageQueryMs,
      circuitBreakerState: this.getCircuitBreakerState(),
    };
  }

  getCircuitBreakerState(): CircuitBreakerState {
    return states[this.stats().servers[0]!.breaker];
  }

  /** Asks the server. Never throws. */
  async healthCheck(): Promise<EnhancedPoolHealth> {
    const startedAt = performance.now();
    const error = await this.query("select 1").then(
      () => undefined,
      (failure: unknown) => messageOf(failure),
    );
    const responseTime = performance.now() - startedAt;
    const answer = { healthy: error === undefined, responseTime, circuitBreakerState: this.getCircuitBreakerState() };
    return error === undefined ? answer : { ...answer, error };
  }

  /** Lets what runs finish, at most 10 s, and closes. May be called again. */
  async shutdown(): Promise<void> {
    await this.stop();
  }
}
