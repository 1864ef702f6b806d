import { type Clock, systemClock } from "@db/core";

export type CircuitBreakerState = "CLOSED" | "OPEN" | "HALF_OPEN";

/** When a circuit opens and closes. */
export interface CircuitOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failuresToOpen?: number;
  /** Successful attempts that close it again. Default 2. */
  readonly successesToClose?: number;
  /** After this long open, one attempt is let through, milliseconds. Default 5 000. */
  readonly resetMs?: number;
}

/**
 * The breaker of the service, above those that the pool has for each server. It counts failures of the
 * infrastructure in a row; the caller decides which those are.
 */
export class Circuit {
  readonly #clock: Clock;
  readonly #options: Required<CircuitOptions>;
  #state: CircuitBreakerState = "CLOSED";
  #failures = 0;
  #successes = 0;
  #openedAt = 0;
  #trying = false;
  lastFailure: unknown;

  constructor(clock: Clock = systemClock, options: CircuitOptions = {}) {
    this.#clock = clock;
    this.#options = { failuresToOpen: 5, successesToClose: 2, resetMs: 5_000, ...options };
  }

  get state(): CircuitBreakerState {
    return this.#state;
  }

  /** Whether something may run now. Open, one attempt is let through after `resetMs`. */
  admit(): boolean {
    if (this.#state === "OPEN" && this.#clock.now() - this.#openedAt >= this.#options.resetMs) {
      this.#state = "HALF_OPEN";
      this.#successes = 0;
      this.#trying = false;
    }
    if (this.#state === "OPEN" || (this.#state === "HALF_OPEN" && this.#trying)) return false;
    this.#trying = this.#state === "HALF_OPEN";
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#trying = false;
    if (this.#state === "HALF_OPEN" && (this.#successes += 1) >= this.#options.successesToClose) this.#state = "CLOSED";
  }

  failed(cause: unknown): void {
    this.lastFailure = cause;
    this.#trying = false;
    this.#failures += 1;
    if (this.#state === "CLOSED" && this.#failures < this.#options.failuresToOpen) return;
    this.#state = "OPEN";
    this.#openedAt = this.#clock.now();
  }
}
