import { randomUUID } from "node:crypto";
import type { Queryable } from "@db/core";
import type { History, HistoryEntry, HistoryRecord, HistoryState, JournalRecord } from "./history.ts";
import type { JournalQueue } from "./journal-queue.ts";
import { fencedError } from "./migration-lock.ts";
import type { ResolvedApplyOptions } from "./options.ts";
import type { MigrationPlan, PlannedMigration, PlannedStatement } from "./plan.ts";
import type { StatementWatcher } from "./statement-watch.ts";
import type { StatementReport } from "./report.ts";
import { toolVersion } from "./tool-version.ts";

/** What running one plan shares among its migrations. */
export interface RunContext {
  readonly session: Queryable;
  readonly history: History;
  readonly plan: MigrationPlan;
  readonly options: ResolvedApplyOptions;
  readonly runId: string;
  /** The history as read under the lock. */
  readonly entries: ReadonlyMap<string, HistoryEntry>;
  /** SQL that holds while the lock is this runner's. */
  readonly fence: string;
  /** Behind a pooler: nothing may be set, prepared or locked for longer than a transaction. */
  readonly leased: boolean;
  /** Whether the session takes several statements in one text. */
  readonly scripts: boolean;
  readonly watcher: StatementWatcher;
  readonly journal: JournalQueue;
  /** Name under which writing a history row is prepared; null while it is not. */
  readonly prepared: { name: string | null };
  /** The place in the order of application that the next migration takes. */
  readonly sequence: { next: number };
}

export function newRunId(): string {
  return randomUUID();
}

/** A migration's row of the history. */
export function historyRecord(
  context: RunContext,
  migration: PlannedMigration,
  state: HistoryState,
  facts: {
    readonly done: number;
    readonly startedAt: string | null;
    readonly durationMs: number | null;
    readonly error?: string;
  },
): HistoryRecord {
  return {
    id: migration.id,
    version: migration.version,
    name: migration.name,
    kind: migration.kind,
    state,
    source: "file",
    checksum: migration.checksum,
    chain: migration.chain,
    transactional: migration.transactional,
    statements: migration.statements.length,
    statementsDone: facts.done,
    startedAt: facts.startedAt,
    finishedAt: null,
    durationMs: facts.durationMs,
    appliedBy: context.options.appliedBy,
    runId: context.runId,
    toolVersion,
    error: facts.error ?? null,
    downSql: migration.downSql,
    catalogFingerprint: null,
  };
}

/** Writes a migration's row and lets those after it stand after it. @throws when the lock is no longer this runner's */
export async function writeRecord(context: RunContext, record: HistoryRecord): Promise<void> {
  const { session, history, fence, sequence } = context;
  try {
    const place = await history.write(session, record, fence);
    sequence.next = Math.max(sequence.next, place + 1);
  } catch (error) {
    throw history.isFenced(error) ? fencedError(context) : error;
  }
}

/** A statement's row of the journal. */
export function journalRecord(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  position: number,
  facts: { readonly state: JournalRecord["state"]; readonly report?: StatementReport; readonly error?: string },
): JournalRecord {
  return {
    migration: migration.id,
    direction: context.plan.direction === "down" ? "down" : "up",
    position,
    hash: statement.hash,
    kind: statement.kind,
    line: statement.line,
    state: facts.state,
    runId: context.runId,
    durationMs: facts.report?.durationMs ?? null,
    rows: facts.report?.rows ?? null,
    error: facts.error ?? null,
  };
}

/** Tells of a statement that ended. */
export function announceStatement(context: RunContext, migration: PlannedMigration, report: StatementReport): void {
  context.options.onEvent({
    type: "statement-finished",
    migration: migration.id,
    statement: report.index,
    durationMs: report.durationMs,
    rows: report.rows,
  });
}
