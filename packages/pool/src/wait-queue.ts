import { AbortedError } from "@db/core";
import type { Connection } from "./connection.ts";
import type { Histogram } from "./histogram.ts";

/** One wish for a connection. */
export interface AcquireRequest {
  /** True when application code will hold it. */
  readonly borrowed: boolean;
  /** Where it was asked for; kept for leak reports. */
  readonly stack?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Replaces `acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

interface Waiter {
  readonly request: AcquireRequest;
  readonly since: number;
  resolve(connection: Connection): void;
  reject(error: unknown): void;
}

/** Callers waiting for a connection, first come, first served, each for as long as it allows. */
export class WaitQueue {
  readonly #waiters: Waiter[] = [];
  readonly #waitMs: Histogram;
  readonly #timedOut: (waitedMs: number) => Error;
  readonly #left: () => void;

  constructor(of: {
    readonly waitMs: Histogram;
    /** Makes the error for who waited too long. */
    readonly timedOut: (waitedMs: number) => Error;
    /** Told when somebody gave up. */
    readonly left: () => void;
  }) {
    this.#waitMs = of.waitMs;
    this.#timedOut = of.timedOut;
    this.#left = of.left;
  }

  get length(): number {
    return this.#waiters.length;
  }

  join(request: AcquireRequest, timeoutMs: number): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const { signal } = request;
    const since = performance.now();
    const leave = (error: Error): void => {
      const index = this.#waiters.indexOf(waiter);
      if (index < 0) return;
      this.#waiters.splice(index, 1);
      waiter.reject(error);
      this.#left();
    };
    const abort = (): void => leave(aborted(signal!));
    const timeOut = (): void => leave(this.#timedOut(performance.now() - since));
    const timer = Number.isFinite(timeoutMs) ? setTimeout(timeOut, timeoutMs) : undefined;
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#waitMs.observeMs(performance.now() - since);
    };
    const waiter: Waiter = {
      request,
      since,
      resolve: (connection) => (settle(), resolve(connection)),
      reject: (error) => (settle(), reject(error)),
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#waiters.push(waiter);
    return promise;
  }

  /** Takes the one who has waited longest out of the queue. */
  next(): Waiter | undefined {
    return this.#waiters.shift();
  }

  /** Rejects up to `count` of those who were waiting at `at`; who came later is not concerned. */
  reject(error: unknown, of: { readonly count: number; readonly at: number }): void {
    const concerned = this.#waiters.filter(({ since }) => since <= of.at).slice(0, of.count);
    for (const waiter of concerned) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.reject(error);
    }
  }
}

export function aborted(signal: AbortSignal): AbortedError {
  return new AbortedError("aborted while waiting for a connection", { cause: signal.reason });
}
