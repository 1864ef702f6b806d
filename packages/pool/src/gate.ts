import { AbortedError } from "@db/core";
import { PoolClosedError, PoolPausedError, PoolSaturatedError } from "./errors.ts";

/** Holds new work back while the pool is paused. Open, it costs the reading of one field. */
export class Gate {
  readonly #acquireTimeoutMs: number;
  readonly #maxWaiting: number;
  #closed: PromiseWithResolvers<void> | undefined;
  #waiting = 0;
  readonly #watchers = new Set<() => void>();

  constructor({ acquireTimeoutMs, maxWaiting }: { readonly acquireTimeoutMs: number; readonly maxWaiting: number }) {
    this.#acquireTimeoutMs = acquireTimeoutMs;
    this.#maxWaiting = maxWaiting;
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Work held back now. */
  get waiting(): number {
    return this.#waiting;
  }

  close(): void {
    this.#closed ??= Promise.withResolvers();
  }

  open(): void {
    this.#closed?.resolve();
    this.#closed = undefined;
  }

  /** The pool closes: who is held back is told so, and nobody is from now on. */
  end(): void {
    const closed = this.#closed;
    this.#closed = undefined;
    closed?.promise.catch(() => undefined);
    closed?.reject(new PoolClosedError("the pool was closed while it was paused"));
  }

  /**
   * Resolves when the gate is open, for as long as an acquire may take.
   * @throws {PoolPausedError} {PoolSaturatedError} {AbortedError}
   */
  async pass(signal: AbortSignal | undefined): Promise<void> {
    const closed = this.#closed;
    if (!closed) return;
    if (this.#waiting >= this.#maxWaiting) {
      throw new PoolSaturatedError({ server: "the paused pool", waiting: this.#waiting });
    }
    const stop = Promise.withResolvers<never>();
    stop.promise.catch(() => undefined);
    const abort = (): void =>
      stop.reject(new AbortedError("aborted while the pool was paused", { cause: signal?.reason }));
    const waitedMs = this.#acquireTimeoutMs;
    const timer = Number.isFinite(waitedMs)
      ? setTimeout(() => stop.reject(new PoolPausedError({ waitedMs })), waitedMs)
      : undefined;
    this.#waiting += 1;
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      await Promise.race([closed.promise, stop.promise]);
    } finally {
      this.#waiting -= 1;
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Something came back: whoever waits for quiet looks again, once the caller has put it in its place. */
  noted(): void {
    if (this.#watchers.size > 0) setImmediate(() => this.#watchers.forEach((look) => look()));
  }

  /** Resolves with true when `isQuiet` says so, or with false after `timeoutMs` or when the gate opens again. */
  async quiet(isQuiet: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isQuiet()) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const look = (): void => {
      if (isQuiet()) resolve(true);
    };
    this.#watchers.add(look);
    const timer = Number.isFinite(timeoutMs) ? setTimeout(() => resolve(false), timeoutMs) : undefined;
    void this.#closed?.promise.then(
      () => resolve(false),
      () => resolve(false),
    );
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }
}
