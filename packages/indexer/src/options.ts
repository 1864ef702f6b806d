import { type Clock, type Logger, noLogger, noProgress, type OnProgress, type Queryable, systemClock } from "@db/core";
import { InvalidIndexError } from "./errors.ts";
import type { WorkloadStatement } from "./snapshot.ts";

/** How indexes are analysed. Durations are milliseconds, sizes bytes. */
export interface AnalyzeOptions {
  /** Statements to analyse. Default: those pg_stat_statements has recorded for this database. */
  readonly workload?: readonly WorkloadStatement[];
  /** Most statements analysed, the costliest first. Default 500. */
  readonly maxStatements?: number;
  /** Standbys whose scans count when an index is called unused. Default: none. */
  readonly replicas?: readonly Queryable[];
  /** Tables with fewer rows get no recommendation. Default 1 000. */
  readonly minRows?: number;
  /** Least share of a statement's cost that a recommendation must save, 0 to 1. Default 0.2. */
  readonly minGain?: number;
  /** Most key columns of a recommended index. Default 3. */
  readonly maxKeys?: number;
  /** Above this a table gets BRIN for ranges over columns that follow the order on disk. Default 1 GB. */
  readonly brinMinBytes?: number;
  /** Longest any one statement of the analysis may take. Default 10 000. */
  readonly statementTimeoutMs?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** `AnalyzeOptions` with every default filled in. */
export type ResolvedAnalyzeOptions = Required<Omit<AnalyzeOptions, "workload" | "signal">> &
  Pick<AnalyzeOptions, "workload" | "signal">;

/** The defaults, in one place. */
export const analyzeDefaults: Required<Omit<AnalyzeOptions, "workload" | "signal">> = Object.freeze({
  maxStatements: 500,
  replicas: [],
  minRows: 1_000,
  minGain: 0.2,
  maxKeys: 3,
  brinMinBytes: 1024 ** 3,
  statementTimeoutMs: 10_000,
  onProgress: noProgress,
  clock: systemClock,
  logger: noLogger,
});

/**
 * Fills in the defaults.
 * @throws {InvalidIndexError} naming every contradiction
 */
export function resolveAnalyzeOptions(options: AnalyzeOptions): ResolvedAnalyzeOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...analyzeDefaults, ...given } as ResolvedAnalyzeOptions;
  const problems: string[] = [];
  for (const name of ["maxStatements", "minRows", "brinMinBytes", "statementTimeoutMs"] as const) {
    if (!(resolved[name] >= 1)) problems.push(`${name} must be at least 1`);
  }
  if (!(Number.isInteger(resolved.maxKeys) && resolved.maxKeys >= 1 && resolved.maxKeys <= 32)) {
    problems.push("maxKeys must be a whole number from 1 to 32");
  }
  if (!(resolved.minGain >= 0 && resolved.minGain < 1)) problems.push("minGain must be from 0 to below 1");
  if (problems.length > 0) throw new InvalidIndexError(problems.join("; "), { hint: "Correct the options named." });
  return resolved;
}

/** How an index is made or dropped. Durations are milliseconds. */
export interface ApplyOptions {
  /** Tell the statements and run none. Default `false`. */
  readonly dryRun?: boolean;
  /** Longest wait for the table's lock, per attempt; others queue behind the wait. Default 3 000. */
  readonly lockTimeoutMs?: number;
  /** Attempts when the lock was not had in time. Default 5. */
  readonly attempts?: number;
  /** Pause before the second attempt; it doubles with each. Default 500. */
  readonly retryDelayMs?: number;
  readonly onProgress?: OnProgress;
  /** Cancels the build; what it left is dropped. Needs a pool: a lone client cannot cancel itself. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** `ApplyOptions` with every default filled in. */
export type ResolvedApplyOptions = Required<Omit<ApplyOptions, "signal">> & Pick<ApplyOptions, "signal">;

/** The defaults, in one place. */
export const applyDefaults: Required<Omit<ApplyOptions, "signal">> = Object.freeze({
  dryRun: false,
  lockTimeoutMs: 3_000,
  attempts: 5,
  retryDelayMs: 500,
  onProgress: noProgress,
  clock: systemClock,
  logger: noLogger,
});

/**
 * Fills in the defaults.
 * @throws {InvalidIndexError} naming every contradiction
 */
export function resolveApplyOptions(options: ApplyOptions): ResolvedApplyOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...applyDefaults, ...given } as ResolvedApplyOptions;
  const problems: string[] = [];
  if (!(resolved.lockTimeoutMs >= 1)) problems.push("lockTimeoutMs must be at least 1 ms");
  if (!(Number.isInteger(resolved.attempts) && resolved.attempts >= 1)) problems.push("attempts must be at least 1");
  if (!(resolved.retryDelayMs >= 0)) problems.push("retryDelayMs must not be negative");
  if (problems.length > 0) throw new InvalidIndexError(problems.join("; "), { hint: "Correct the options named." });
  return resolved;
}
