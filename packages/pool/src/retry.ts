import type { Clock } from "@db/core";
import pRetry from "p-retry";
import type { RetryOptions } from "./options.ts";

/**
 * Limits how much of the load may be retries: each request earns a share of a retry, each retry spends one. When the
 * servers are in trouble, retries therefore never multiply the load.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #cap: number;
  #tokens: number;

  constructor({ budgetRatio, budgetReserve }: Pick<Required<RetryOptions>, "budgetRatio" | "budgetReserve">) {
    this.#ratio = budgetRatio;
    this.#cap = Math.max(budgetReserve, 1);
    this.#tokens = this.#cap;
  }

  earn(): void {
    this.#tokens = Math.min(this.#cap, this.#tokens + this.#ratio);
  }

  /** @returns false when nothing is left to spend */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** The wait before attempt `attempt + 1`: anything between 0 and a bound that grows, so that callers spread out. */
export function fullJitterMs(
  attempt: number,
  { minDelayMs, factor, maxDelayMs }: Pick<Required<RetryOptions>, "minDelayMs" | "factor" | "maxDelayMs">,
  random: () => number = Math.random,
): number {
  return random() * Math.min(maxDelayMs, minDelayMs * factor ** (attempt - 1));
}

/** What to do after a failed attempt. */
export type RetryDecision = "no" | "backoff" | "now";

/** How one piece of work is retried. */
export interface RetryPlan {
  readonly options: Required<RetryOptions>;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Decides after a failure; may itself wait, for a new primary say, then answers `now`, which is not counted. */
  decide(error: unknown, attempt: number): Promise<RetryDecision> | RetryDecision;
  /** Told before each further attempt. */
  retried(error: unknown, attempt: number): void;
}

/** Runs `work` until it succeeds or the plan says no; throws the last error. */
export async function withRetries<T>(work: (attempt: number) => Promise<T>, plan: RetryPlan): Promise<T> {
  try {
    return await work(1);
  } catch (error) {
    return await retryAfter(error, work, plan);
  }
}

/** Goes on after the first attempt failed. */
export async function retryAfter<T>(
  first: unknown,
  work: (attempt: number) => Promise<T>,
  plan: RetryPlan,
): Promise<T> {
  // Most failures are final: they need not pay for the machinery of another attempt.
  let early: RetryDecision | undefined = await plan.decide(first, 1);
  if (early === "no") throw first;
  let attempt = 1;
  let backoffs = 0;
  let decision: RetryDecision = "no";
  return await pRetry(
    async () => {
      if (attempt > 1) return await work(attempt++).catch(rethrow);
      attempt = 2;
      throw asError(first);
    },
    {
      // The count and the wait are ours: p-retry's jitter never goes below its minimum.
      retries: Infinity,
      minTimeout: 0,
      onFailedAttempt: async ({ error: carried }) => {
        const error = unwrap(carried);
        decision = early ?? (await plan.decide(error, attempt - 1));
        early = undefined;
        if (decision === "backoff" && backoffs++ >= plan.options.retries) decision = "no";
        if (decision === "no") return;
        plan.retried(error, attempt - 1);
        if (decision === "backoff") await plan.clock.sleep(fullJitterMs(backoffs, plan.options), plan.signal);
      },
      shouldRetry: () => decision !== "no",
    },
  ).catch((error: unknown) => {
    throw unwrap(error);
  });
}

/** p-retry takes any `TypeError` for a bug and a non-error for one; a wrapper keeps both what they are. */
class Carried extends Error {
  readonly thrown: unknown;
  constructor(thrown: unknown) {
    super("carried through a retry");
    this.thrown = thrown;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error && !(error instanceof TypeError) ? error : new Carried(error);
}

function rethrow(error: unknown): never {
  throw asError(error);
}

function unwrap(error: unknown): unknown {
  return error instanceof Carried ? error.thrown : error;
}
