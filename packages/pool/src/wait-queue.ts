import { AbortedError } from "@db/core";
import type { Connection } from "./connection.ts";
import type { Histogram } from "./histogram.ts";

/** Who is served first while connections are short. */
export type Priority = "high" | "normal" | "low";

const ranks: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };
export const priorities: readonly Priority[] = ["high", "normal", "low"];

/** One wish for a connection. */
export interface AcquireRequest {
  /** True when application code will hold it. */
  readonly borrowed: boolean;
  /** True when statements will share it: each of them is then told of as a checkout, instead of the connection. */
  readonly shared?: boolean;
  /** Where it was asked for; kept for leak reports. */
  readonly stack?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Replaces `acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Default `normal`. */
  readonly priority?: Priority | undefined;
}

interface Waiter {
  readonly request: AcquireRequest;
  readonly since: number;
  resolve(connection: Connection): void;
  reject(error: unknown): void;
}

/** Callers waiting for a connection: the more urgent first, then first come, first served; each for as long as it allows. */
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
    this.#place(waiter);
    return promise;
  }

  /** Behind everybody at least as urgent. */
  #place(waiter: Waiter): void {
    const rank = rankOf(waiter.request);
    let index = this.#waiters.length;
    while (index > 0 && rankOf(this.#waiters[index - 1]!.request) > rank) index -= 1;
    if (index === this.#waiters.length) this.#waiters.push(waiter);
    else this.#waiters.splice(index, 0, waiter);
  }

  /** Turns away the last of those less urgent than this one. @returns false when there is none */
  displace(request: AcquireRequest, error: () => Error): boolean {
    const last = this.#waiters.at(-1);
    if (!last || rankOf(last.request) <= rankOf(request)) return false;
    this.#waiters.pop();
    last.reject(error());
    return true;
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

function rankOf({ priority = "normal" }: AcquireRequest): number {
  return ranks[priority];
}

export function aborted(signal: AbortSignal): AbortedError {
  return new AbortedError("aborted while waiting for a connection", { cause: signal.reason });
}
