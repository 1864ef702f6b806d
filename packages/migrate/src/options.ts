import type { Clock, Logger, Metrics, OnProgress } from "@db/core";
import { noLogger, noMetrics, noProgress, systemClock } from "@db/core";
import { MigrationOptionsError } from "./errors.ts";
import type { MigrationEvent } from "./event.ts";
import type { OnlinePhase } from "./migration-file.ts";
import type { Placeholders } from "./placeholder.ts";
import type { MigrationPlan } from "./plan.ts";

/** What to do about something found: block the plan, tell, or let pass unsaid. */
export type FindingPolicy = "error" | "warn" | "allow";

/** Where the history is kept. */
export interface HistoryOptions {
  /** Schema of the history tables. Default `db_migrate`. */
  readonly schema?: string;
  /** Name of the history table; the statement journal is `<table>_statements`. Default `history`. */
  readonly table?: string;
}

/** What every call on a folder of migrations takes. */
export interface MigrationOptions extends HistoryOptions {
  /** Folder of the migrations, in plain SQL or as drizzle-kit writes it. */
  readonly directory: string;
  /** Values for `${name}` in the files. Default: none, and such marks are left as they are. */
  readonly placeholders?: Placeholders;
}

/** How a plan judges what it finds. Durations are milliseconds. */
export interface PlanOptions extends MigrationOptions {
  /** Last migration to apply: id, file or version. Default: all of them. */
  readonly to?: string;
  /** Plans only this phase of one online migration, and not what else is pending. Default: none. */
  readonly phase?: OnlinePhase;
  /** Which online migration `phase` speaks of: id, file or version. Default: the oldest that is not finished. */
  readonly migration?: string;
  /** A pending migration older than the newest applied one. Default `error`. */
  readonly outOfOrder?: FindingPolicy;
  /** A file edited after it ran. Default `error`. */
  readonly changed?: FindingPolicy;
  /** An applied migration without a file: the database is ahead of the folder. Default `warn`. */
  readonly missing?: FindingPolicy;
  /** A history with rows deleted, inserted, reordered or edited by hand. Default `error`. */
  readonly tampered?: FindingPolicy;
  /** Lint findings of this severity and worse block the plan; `never` only tells. Default `critical`. */
  readonly lintBlocks?: "critical" | "warn" | "never";
  /** Longest wait of a statement for a lock; `Infinity` waits for ever. Default 3 000. Files may set their own. */
  readonly lockTimeoutMs?: number;
  /** Longest run of one statement. Default `Infinity`. Files may set their own. */
  readonly statementTimeoutMs?: number;
  /** How often a migration stopped by `lockTimeoutMs` is tried again, after growing pauses. Default 20. */
  readonly lockRetries?: number;
}

/** How far down a rollback goes; `to` wins over `steps`. */
export interface RollbackOptions extends MigrationOptions {
  /** The migration that stays the newest: id, file or version. */
  readonly to?: string;
  /** How many of the newest migrations to undo. Default 1. */
  readonly steps?: number;
  /** Let a down that drops a table or column holding rows through. Default false. */
  readonly allowDataLoss?: boolean;
  readonly lockTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly lockRetries?: number;
}

/** Which online migration is taken back. */
export interface CancelOptions extends MigrationOptions {
  /** Id, file or version. Default: the newest under way. */
  readonly migration?: string;
  readonly lockTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly lockRetries?: number;
}

/** How a plan is applied. Durations are milliseconds. */
export interface ApplyOptions {
  /** `rollback` runs what can run in a transaction, tells the locks taken, and undoes it. Default `commit`. */
  readonly execute?: "commit" | "rollback";
  /** Read the folder again and refuse when a file is not what the plan says. Default true. */
  readonly checkFiles?: boolean;
  /** Refuse when the catalog is not what the plan saw. Default true. */
  readonly checkCatalog?: boolean;
  /** Refuse a plan made longer ago: what was small when it was judged may have grown. Default `Infinity`. */
  readonly maxPlanAgeMs?: number;
  /** Apply a plan its policy blocks. Default false. */
  readonly allowBlocked?: boolean;
  /** Longest wait for another runner. Default 600 000; `Infinity` waits for ever. */
  readonly advisoryLockTimeoutMs?: number;
  /** What to do about a statement of which nobody knows whether it ran. Default `ask`: an error that says so. */
  readonly uncertain?: "ask" | "rerun" | "skip";
  /** Runs under the lock, after the checks, before the first change: the place for a safety backup. */
  readonly beforeApply?: (plan: MigrationPlan) => Promise<void>;
  /** Told of every step as it happens; must not throw. */
  readonly onEvent?: (event: MigrationEvent) => void;
  readonly onProgress?: OnProgress;
  /**
   * Heard between statements and in every wait. A statement under way is cancelled from a second session; on one session, and
   * behind a pooler, it is bounded by its time-out.
   */
  readonly signal?: AbortSignal;
  /** Recorded as who applied. Default: the session's user. */
  readonly appliedBy?: string;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
}

/** `ApplyOptions` with every default in place. */
export interface ResolvedApplyOptions extends Required<Omit<ApplyOptions, "signal" | "appliedBy">> {
  readonly signal: AbortSignal;
  readonly appliedBy: string | null;
}

export const historyDefaults: Required<HistoryOptions> = Object.freeze({ schema: "db_migrate", table: "history" });

export const planDefaults: Required<
  Omit<PlanOptions, "directory" | "to" | "phase" | "migration" | keyof MigrationOptions>
> = Object.freeze({
  outOfOrder: "error",
  changed: "error",
  missing: "warn",
  tampered: "error",
  lintBlocks: "critical",
  lockTimeoutMs: 3_000,
  statementTimeoutMs: Number.POSITIVE_INFINITY,
  lockRetries: 20,
});

export function resolveApplyOptions(options: ApplyOptions): ResolvedApplyOptions {
  const advisoryLockTimeoutMs = options.advisoryLockTimeoutMs ?? 600_000;
  if (!(advisoryLockTimeoutMs >= 0)) {
    throw new MigrationOptionsError(`advisoryLockTimeoutMs must not be negative, got ${advisoryLockTimeoutMs}`);
  }
  const maxPlanAgeMs = options.maxPlanAgeMs ?? Number.POSITIVE_INFINITY;
  if (!(maxPlanAgeMs > 0)) throw new MigrationOptionsError(`maxPlanAgeMs must be over 0, got ${maxPlanAgeMs}`);
  return {
    execute: options.execute ?? "commit",
    checkFiles: options.checkFiles ?? true,
    checkCatalog: options.checkCatalog ?? true,
    maxPlanAgeMs,
    allowBlocked: options.allowBlocked ?? false,
    advisoryLockTimeoutMs,
    uncertain: options.uncertain ?? "ask",
    beforeApply: options.beforeApply ?? (() => Promise.resolve()),
    onEvent: options.onEvent ?? (() => undefined),
    onProgress: options.onProgress ?? noProgress,
    signal: options.signal ?? new AbortController().signal,
    appliedBy: options.appliedBy ?? null,
    logger: options.logger ?? noLogger,
    metrics: options.metrics ?? noMetrics,
    clock: options.clock ?? systemClock,
  };
}

/** Bounds of one migration's statements; null stands for no limit. */
export interface MigrationLimits {
  readonly lockTimeoutMs: number | null;
  readonly statementTimeoutMs: number | null;
  readonly lockRetries: number;
}

/** Checks and resolves the limits a plan gives to files that set none. @throws {MigrationOptionsError} */
export function resolveLimits(options: {
  readonly lockTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly lockRetries?: number;
}): MigrationLimits {
  const lockTimeoutMs = options.lockTimeoutMs ?? planDefaults.lockTimeoutMs;
  const statementTimeoutMs = options.statementTimeoutMs ?? planDefaults.statementTimeoutMs;
  const lockRetries = options.lockRetries ?? planDefaults.lockRetries;
  const problems: string[] = [];
  if (!(lockTimeoutMs > 0)) problems.push(`lockTimeoutMs must be over 0 or Infinity, got ${lockTimeoutMs}`);
  if (!(statementTimeoutMs > 0))
    problems.push(`statementTimeoutMs must be over 0 or Infinity, got ${statementTimeoutMs}`);
  if (!Number.isInteger(lockRetries) || lockRetries < 0) {
    problems.push(`lockRetries must be a whole number from 0, got ${lockRetries}`);
  }
  if (problems.length > 0) throw new MigrationOptionsError(problems.join("; "));
  return {
    lockTimeoutMs: Number.isFinite(lockTimeoutMs) ? Math.ceil(lockTimeoutMs) : null,
    statementTimeoutMs: Number.isFinite(statementTimeoutMs) ? Math.ceil(statementTimeoutMs) : null,
    lockRetries,
  };
}
