import CircuitBreaker from "opossum";
import { isInfrastructureError } from "./classify.ts";
import { CircuitOpenError } from "./errors.ts";
import { StatementFailure, unwrapFailure } from "./failure.ts";
import type { CircuitBreakerOptions } from "./options.ts";

export type BreakerState = "closed" | "half-open" | "open" | "off";

type Operation = () => Promise<unknown>;

/**
 * The circuit breaker of one server. Only failures of the server or the way to it count, so a caller's bad SQL never
 * opens it. Its probe opens and closes it too.
 */
export class Breaker {
  readonly #server: string;
  readonly #circuit: CircuitBreaker<[Operation]> | undefined;
  #lastFailure: unknown;
  /** Operations that passed while the circuit was closed and opossum has not been told of. */
  #passed = 0;

  constructor(
    server: string,
    options: Required<CircuitBreakerOptions> | false,
    changed: (state: BreakerState) => void,
  ) {
    this.#server = server;
    if (options === false) return;
    this.#circuit = new CircuitBreaker((operation: Operation) => operation(), {
      timeout: false,
      rollingPercentilesEnabled: false,
      rollingCountTimeout: options.windowMs,
      errorThresholdPercentage: options.errorThresholdPercentage,
      volumeThreshold: options.volumeThreshold,
      resetTimeout: options.resetMs,
      errorFilter: (error) => !countsAgainst(error),
    });
    this.#circuit.status.on("snapshot", () => this.#tell());
    this.#circuit.on("failure", (error) => (this.#lastFailure = unwrapFailure(error)));
    this.#circuit.on("open", () => changed("open"));
    this.#circuit.on("halfOpen", () => changed("half-open"));
    this.#circuit.on("close", () => changed("closed"));
  }

  get state(): BreakerState {
    const circuit = this.#circuit;
    return !circuit ? "off" : circuit.opened ? "open" : circuit.halfOpen ? "half-open" : "closed";
  }

  /**
   * Lets an operation begin without ado, which is what the closed circuit of a server in good health costs. It is
   * taken for a success unless `failed` is told otherwise.
   * @returns false when the operation is to go through `run`
   */
  pass(): boolean {
    if (this.#circuit?.closed === false) return false;
    this.#passed += 1;
    return true;
  }

  /** An operation that was let pass failed. */
  failed(cause: unknown): void {
    const circuit = this.#circuit;
    if (!circuit || circuit.isShutdown || !countsAgainst(cause)) return;
    this.#passed -= 1;
    this.#tell();
    if (circuit.closed) void circuit.fire(() => Promise.reject(cause as Error)).catch(() => undefined);
  }

  /** Runs the operation, or throws {@link CircuitOpenError} without running it. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    // After shutdown the connections themselves refuse, in the pool's words.
    if (!this.#circuit || this.#circuit.isShutdown) return await operation();
    try {
      return (await this.#circuit.fire(operation)) as T;
    } catch (error) {
      if ((error as { code?: unknown }).code === "EOPENBREAKER") {
        throw new CircuitOpenError(this.#server, { cause: this.#lastFailure });
      }
      throw error;
    }
  }

  /** The probe found the server gone. */
  open(cause: Error): void {
    this.#lastFailure = cause;
    this.#circuit?.open();
  }

  /** The probe found the server well. */
  close(): void {
    if (this.#circuit && !this.#circuit.closed) this.#circuit.close();
  }

  shutdown(): void {
    this.#circuit?.shutdown();
  }

  /** opossum counts one at a time, and keeps a duration of each; here only the numbers matter. */
  #tell(): void {
    const current = this.#circuit?.status.window[0];
    if (!current || this.#passed <= 0) return;
    current.fires += this.#passed;
    current.successes += this.#passed;
    this.#passed = 0;
  }
}

function countsAgainst(error: unknown): boolean {
  return !(error instanceof StatementFailure && error.secondary) && isInfrastructureError(unwrapFailure(error));
}
