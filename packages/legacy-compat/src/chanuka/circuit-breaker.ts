import { systemClock } from "@db/core";
import { LegacyCircuitOpenError } from "../errors.ts";
import { recordUse } from "../use.ts";
import { Circuit, type CircuitBreakerState } from "./circuit.ts";

/** Durations are milliseconds. */
export interface CircuitBreakerOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failureThreshold?: number;
  /** Successes that close it again once it lets attempts through. Default 2. */
  readonly successThreshold?: number;
  /** How long it stays open before one attempt is let through. Default 5 000. */
  readonly resetTimeout?: number;
}

/** Stops calling what keeps failing. Every error counts: what it guards is the caller's business. */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #circuit: Circuit;

  constructor(options: CircuitBreakerOptions = {}) {
    recordUse("CircuitBreaker");
    this.#options = options;
    this.#circuit = this.#closed();
  }

  /** @throws {LegacyCircuitOpenError} without running `operation` while it is open; else what `operation` throws */
  async execute<T>(operation: () => PromiseLike<T>): Promise<T> {
    const circuit = this.#circuit;
    if (!circuit.admit()) throw new LegacyCircuitOpenError("the operation", circuit.lastFailure);
    try {
      const result = await operation();
      circuit.succeeded();
      return result;
    } catch (error) {
      circuit.failed(error);
      throw error;
    }
  }

  getState(): CircuitBreakerState {
    return this.#circuit.state;
  }

  /** Closes it and forgets what failed. */
  reset(): void {
    this.#circuit = this.#closed();
  }

  #closed(): Circuit {
    const { failureThreshold, successThreshold, resetTimeout } = this.#options;
    return new Circuit(systemClock, {
      ...(failureThreshold === undefined ? {} : { failuresToOpen: failureThreshold }),
      ...(successThreshold === undefined ? {} : { successesToClose: successThreshold }),
      ...(resetTimeout === undefined ? {} : { resetMs: resetTimeout }),
    });
  }
}
