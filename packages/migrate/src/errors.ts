import { DbError, type DbErrorOptions } from "@db/core";
import type { CatalogDifference } from "./catalog-diff.ts";
import type { FileProblem } from "./file-problem.ts";
import type { MigrationFinding } from "./finding.ts";
import type { MigrationReport } from "./report.ts";

/** The options given contradict each other or are out of range. */
export class MigrationOptionsError extends DbError {
  override readonly code = "MIGRATE_OPTIONS";
}

/** The folder cannot be read. */
export class MigrationFolderError extends DbError {
  override readonly code = "MIGRATE_FOLDER";
}

/** One or more migration files cannot be used; every problem found is in `problems`. */
export class MigrationFilesError extends DbError {
  override readonly code = "MIGRATE_FILES";
  readonly problems: readonly FileProblem[];
  /** The line of the first problem with its place marked, then every other one; null when there is no more to tell. */
  readonly detail: string | null;

  constructor(problems: readonly FileProblem[]) {
    const [first] = problems;
    const more = problems.length > 1 ? `, and ${problems.length - 1} more` : "";
    super(`${first ? toldOf(first) : "unusable migration files"}${more}`, first ? { hint: first.hint } : {});
    this.problems = problems;
    const others = problems.slice(1).flatMap((problem) => [toldOf(problem), problem.excerpt, problem.hint]);
    const lines = [first?.excerpt ?? null, ...others].filter((line) => line !== null);
    this.detail = lines.length === 0 ? null : lines.join("\n");
  }
}

function toldOf({ file, line, column, message }: FileProblem): string {
  return `${file}${line === null ? "" : `:${line}:${column}`}: ${message}`;
}

/** A name or version that stands for no migration of the folder or the history. */
export class UnknownMigrationError extends DbError {
  override readonly code = "MIGRATE_UNKNOWN_MIGRATION";
}

/** One file made of many migrations does not make the same catalog; nothing was written. */
export class SquashUnequalError extends DbError {
  override readonly code = "MIGRATE_SQUASH_UNEQUAL";
  readonly differences: readonly CatalogDifference[];

  constructor(differences: readonly CatalogDifference[]) {
    const [first] = differences;
    const more = differences.length > 1 ? `, and ${differences.length - 1} more` : "";
    super(`the squashed file does not make the same catalog: ${first?.object} is ${first?.change}${more}`, {
      hint: "Look for migrations that decide by the time or by rows, and squash up to the one before.",
    });
    this.differences = differences;
  }
}

/** There is nothing to hold the catalog against. */
export class DriftBaselineError extends DbError {
  override readonly code = "MIGRATE_NO_SNAPSHOT";
}

/** The server is one this package does not run against: older than PostgreSQL 12, or unable to write. */
export class UnsupportedServerError extends DbError {
  override readonly code = "MIGRATE_UNSUPPORTED_SERVER";
}

/** The history table cannot be read or is not the shape this version knows. */
export class HistoryError extends DbError {
  override readonly code = "MIGRATE_HISTORY";
}

/** The catalog could not be read because a table stays locked exclusively. */
export class CatalogBusyError extends DbError {
  override readonly code = "MIGRATE_CATALOG_BUSY";
  override readonly retryable = true;
}

/** The plan has findings its policy does not let through; nothing was run. */
export class MigrationsRefusedError extends DbError {
  override readonly code = "MIGRATE_REFUSED";
  readonly findings: readonly MigrationFinding[];

  constructor(findings: readonly MigrationFinding[]) {
    const [first] = findings;
    const more = findings.length > 1 ? `, and ${findings.length - 1} more` : "";
    const place = first?.file && first.line !== null ? `${first.file}:${first.line}: ` : "";
    const pass =
      first?.rule && first.line !== null
        ? ` Or let it pass: "-- migrate:allow ${first.rule} reason="…"" above the statement.`
        : "";
    super(
      `the plan is blocked: ${place}${first?.title ?? "no reason recorded"}${more}`,
      first?.hint ? { hint: `${first.hint}${pass}` } : {},
    );
    this.findings = findings;
  }
}

/** A file, the history or the catalog moved between the plan and its application; nothing was run. */
export class StalePlanError extends DbError {
  override readonly code = "MIGRATE_STALE_PLAN";
  /** What moved, one sentence each. */
  readonly changes: readonly string[];

  constructor(changes: readonly string[]) {
    super(`the plan is stale: ${changes.join("; ")}`, { hint: "Plan again, look at the difference, then apply." });
    this.changes = changes;
  }
}

/** Another runner held the advisory lock for the whole of `advisoryLockTimeoutMs`. */
export class MigrationLockTimeoutError extends DbError {
  override readonly code = "MIGRATE_LOCK_TIMEOUT";
  override readonly retryable = true;
}

/** Two statements of one session reached different server processes: a transaction pooler stands between. */
export class TransactionPoolerError extends DbError {
  override readonly code = "MIGRATE_TRANSACTION_POOLER";
}

/**
 * A statement outside a transaction was under way when its runner died, and the catalog cannot tell whether it
 * took effect. Nothing more is run until the caller decides.
 */
export class UncertainStatementError extends DbError {
  override readonly code = "MIGRATE_UNCERTAIN";
}

/** A migration failed; `report` tells what was applied before it and where it stopped. */
export class MigrationFailedError extends DbError {
  override readonly code = "MIGRATE_FAILED";
  readonly report: MigrationReport;

  constructor(message: string, report: MigrationReport, options: DbErrorOptions) {
    super(message, options);
    this.report = report;
  }
}

/** A backfill was paused by somebody else; what is done stays done, and the next run goes on from there. */
export class BackfillPausedError extends DbError {
  override readonly code = "MIGRATE_BACKFILL_PAUSED";
}

/** A backfill cannot walk over its table: no such table, or no unique index on its key. */
export class BackfillError extends DbError {
  override readonly code = "MIGRATE_BACKFILL";
}

/** A migration written as a program cannot be loaded, or lacks what is asked of it. */
export class ProgramError extends DbError {
  override readonly code = "MIGRATE_PROGRAM";
}

/** Another runner took over while this one was silent for longer than its lease; what it had begun was rolled back. */
export class LeaseLostError extends DbError {
  override readonly code = "MIGRATE_LEASE_LOST";
}
