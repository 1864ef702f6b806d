import { type Clock, sqlStateOf, transientSqlStates } from "@db/core";
import { StatementError } from "./statement-run.ts";

const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** Runs `use` again while it fails on a lock time-out or deadlock, which leave nothing behind. */
export async function withLockRetries<T>(
  retries: number,
  collaborators: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    /** Told before each pause: the attempt that failed, from 1. */
    readonly onRetry: (attempt: number, pauseMs: number) => Promise<void> | void;
  },
  use: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await use(attempt);
    } catch (error) {
      const state = sqlStateOf(error instanceof StatementError ? error.cause : error);
      if (attempt > retries || state === undefined || !transientSqlStates.has(state)) throw error;
      const base = Math.min(firstPauseMs * 1.6 ** (attempt - 1), longestPauseMs);
      // Spread out, so as not to meet the same periodic transaction again and again.
      const pauseMs = Math.round(base * (0.5 + Math.random()));
      await collaborators.onRetry(attempt, pauseMs);
      await collaborators.clock.sleep(pauseMs, collaborators.signal);
    }
  }
}
