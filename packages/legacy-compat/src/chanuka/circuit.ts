import { type Clock, systemClock } from "@db/core";

export type CircuitBreakerState = "CLOSED" | "OPEN" | "HALF_OPEN";

const failuresToOpen = 5;
const successesToClose = 2;
const resetMs = 5_000;

/**
 * The breaker of the service, above those that the pool has for each server. It counts failures of the
 * infrastructure in a row; the caller decides which those are.
 */
export class Circuit {
  readonly #clock: Clock;
  #state: CircuitBreakerState = "CLOSED";
  #failures = 0;
  #successes = 0;
  #openedAt = 0;
  #trying = false;
  lastFailure: unknown;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get state(): CircuitBreakerState {
    return this.#state;
  }

  /** Whether something may run now. Open, one attempt is let through after 5 s. */
  admit(): boolean {
    if (this.#state === "OPEN" && this.#clock.now() - this.#openedAt >= resetMs) {
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
    if (this.#state === "HALF_OPEN" && (this.#successes += 1) >= successesToClose) this.#state = "CLOSED";
  }

  failed(cause: unknown): void {
    this.lastFailure = cause;
    this.#trying = false;
    this.#failures += 1;
    if (this.#state === "CLOSED" && this.#failures < failuresToOpen) return;
    this.#state = "OPEN";
    this.#openedAt = this.#clock.now();
  }
}
