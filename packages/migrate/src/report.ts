import type { OnlinePhase } from "./migration-file.ts";
import type { TableLock } from "./table-lock.ts";

/** One statement as it ran. */
export interface StatementReport {
  /** From 0, in its migration. */
  readonly index: number;
  readonly kind: string;
  readonly file: string;
  readonly line: number;
  readonly durationMs: number;
  /** Rows changed or returned, where the driver says. */
  readonly rows: number | null;
  /** How long it was seen waiting for a lock, to a quarter of a second; null when nobody could look. */
  readonly waitedMs: number | null;
  /**
   * Locks really taken on tables. From `execute: "rollback"`, those that the statement added on tables that existed before.
   * Else what its transaction was seen to hold from a second session; null for a statement of less than a quarter second.
   */
  readonly locks: readonly TableLock[] | null;
}

/** One migration as it ran. */
export interface MigrationRun {
  readonly id: string;
  readonly transactional: boolean;
  readonly durationMs: number;
  /** 1 unless a lock time-out or deadlock made it start over. */
  readonly attempts: number;
  /** The phase an online migration came to the end of; null for all others. */
  readonly phase: OnlinePhase | null;
  /** Statements an earlier, interrupted run had done. */
  readonly resumedAt: number;
  readonly statements: readonly StatementReport[];
}

/** Where a run stopped. */
export interface MigrationFailure {
  readonly id: string;
  readonly file: string;
  readonly line: number | null;
  /** From 0; null when it was not a statement that failed. */
  readonly statement: number | null;
  readonly sqlState: string | null;
  readonly message: string;
  /** `rolled-back`: nothing of it stays. `partial`: what came before stays. `unknown`: the answer to COMMIT was lost. */
  readonly outcome: "rolled-back" | "partial" | "unknown";
}

/** What applying a plan did, as plain JSON. */
export interface MigrationReport {
  readonly direction: "up" | "down" | "baseline";
  readonly execute: "commit" | "rollback";
  readonly runId: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** How long other runners held the lock. */
  readonly lockWaitMs: number;
  /** Recorded without running: taken over from drizzle, or declared by a baseline. */
  readonly adopted: readonly string[];
  readonly applied: readonly MigrationRun[];
  /** Done by another runner since the plan was made. */
  readonly skipped: readonly string[];
  readonly failed: MigrationFailure | null;
  /** Not reached: after a failure, or not possible in a rolled-back transaction. */
  readonly remaining: readonly string[];
  readonly catalogFingerprint: string | null;
}
