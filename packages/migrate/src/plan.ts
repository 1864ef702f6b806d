import type { BackfillSettings } from "./backfill-settings.ts";
import type { ForeignToolName } from "./adopt/foreign-tool.ts";
import type { StatementEffects } from "./effect-collector.ts";
import type { MigrationFinding } from "./finding.ts";
import type { HistoryState } from "./history.ts";
import type { OnlinePhase } from "./migration-file.ts";

/** One statement of a plan, with what it is expected to do to tables that exist already. */
export interface PlannedStatement {
  readonly sql: string;
  /** How PostgreSQL names it: `CREATE INDEX CONCURRENTLY`. */
  readonly kind: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** SHA-256 of the text. */
  readonly hash: string;
  readonly effects: StatementEffects;
  /** `outside`: cannot run in a transaction. `own`: may end one itself. `inside`: runs in one. */
  readonly transactionNeed: "inside" | "own" | "outside";
  /** The index a CREATE INDEX CONCURRENTLY makes or a DROP INDEX CONCURRENTLY removes, as SQL names it. */
  readonly index: { readonly name: string; readonly table: string | null; readonly action: "create" | "drop" } | null;
  /** Which part of an online migration it belongs to; null in all others. */
  readonly phase: OnlinePhase | null;
  /** Which part of a program it stands for; null for SQL. Its `sql` is then the program's text. */
  readonly program: "up" | "down" | null;
  /** How it walks over its table, batch by batch; null when it runs as a whole. */
  readonly backfill: BackfillSettings | null;
}

/** One migration of a plan. */
export interface PlannedMigration {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly kind: "versioned" | "repeatable";
  readonly file: string;
  readonly checksum: string;
  /** Links it to what is applied before it; null for a repeatable. */
  readonly chain: string | null;
  /** Its state before the plan; null when the history does not know it. */
  readonly previousState: HistoryState | null;
  /** Statements an earlier run had done. */
  readonly previousDone: number;
  readonly transactional: boolean;
  /** Why it does not run in one transaction; null when it does. */
  readonly transactionReason: string | null;
  /** Null waits for ever. */
  readonly lockTimeoutMs: number | null;
  /** Null has no limit. */
  readonly statementTimeoutMs: number | null;
  readonly lockRetries: number;
  readonly tags: readonly string[];
  /** Settings the SQL changes for the session; they are given back their values after it. */
  readonly settings: readonly string[];
  /** Settings it changes, or may change, for its transaction; they are given back before the history row is written. */
  readonly localSettings?: readonly string[];
  readonly statements: readonly PlannedStatement[];
  /** Queries of the verify section, run after the statements. */
  readonly verify: readonly PlannedStatement[];
  /** Kept in the history, so that undo works after the file is gone. */
  readonly downSql: string | null;
  readonly drizzle: { readonly hash: string; readonly when: number } | null;
}

/** A migration another tool applied, or that a baseline declares applied: recorded, not run. */
export interface AdoptedMigration {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly kind: "versioned" | "repeatable";
  readonly checksum: string;
  readonly chain: string | null;
  readonly statements: number;
  readonly downSql: string | null;
  readonly source: "baseline" | ForeignToolName;
  /** ISO 8601; null for a baseline, which has no time but its own. */
  readonly appliedAt: string | null;
}

/** A row of the history as the plan saw it. */
export interface KnownMigration {
  readonly id: string;
  readonly state: HistoryState;
  readonly checksum: string;
}

/**
 * What would be done to a database, as plain JSON: print it, store it, have it approved, apply it later.
 * `applyMigrations` refuses it once a file, the history or the catalog is no longer what it was made for.
 */
export interface MigrationPlan {
  readonly format: 1;
  readonly direction: "up" | "down" | "baseline";
  /** Online migrations stop after this phase; null goes to the end. */
  readonly phase: OnlinePhase | null;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly directory: string;
  readonly folderFormat: "sql" | "drizzle";
  readonly server: { readonly version: number; readonly database: string };
  readonly history: {
    readonly schema: string;
    readonly table: string;
    readonly exists: boolean;
    readonly known: readonly KnownMigration[];
    /** Schema of drizzle's own history, kept true beside ours; null without one. */
    readonly drizzleSchema: string | null;
  };
  /** Null when there is nothing to run. */
  readonly catalogFingerprint: string | null;
  /** Recorded before anything runs. */
  readonly adopt: readonly AdoptedMigration[];
  /** In the order they run. */
  readonly migrations: readonly PlannedMigration[];
  /** Worst first. */
  readonly findings: readonly MigrationFinding[];
  /** True when a finding blocks under the policy in force. */
  readonly blocked: boolean;
}
