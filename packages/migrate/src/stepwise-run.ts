import { isDbError, sqlStateOf } from "@db/core";
import { forgetBackfills, runBackfill } from "./backfill-run.ts";
import { dropInvalidIndex, isIndexSettled } from "./concurrent-index.ts";
import { deleteDrizzleRow, writeDrizzleRow } from "./drizzle-history.ts";
import { HistoryError, TransactionPoolerError, UncertainStatementError } from "./errors.ts";
import type { JournalEntry } from "./history.ts";
import type { PlannedMigration, PlannedStatement } from "./plan.ts";
import { endOfPhase } from "./online-plan.ts";
import type { MigrationRun, StatementReport } from "./report.ts";
import { withLockRetries } from "./retry.ts";
import { announceStatement, historyRecord, journalRecord, type RunContext, writeRecord } from "./run-context.ts";
import { readSettings, timeoutSettings, writeSettings } from "./session-settings.ts";
import { round, runStatement, runVerify, StatementError } from "./statement-run.ts";

// Done twice they end the same: running one again after a crash can do no harm.
const repeatable = /^(VACUUM|ANALYZE|CLUSTER|REINDEX|ALTER SYSTEM|REFRESH)/;
// invalid_transaction_termination: a procedure or block that commits on its own cannot be inside a transaction.
const endsTransaction = "2D000";

/**
 * Runs a migration that cannot be one transaction, statement by statement. What can run in a transaction does, its
 * journal row with it, so that the two are never apart; what cannot is noted before and after, and looked up in the
 * catalog when a crash fell between.
 */
export async function runStepwise(context: RunContext, migration: PlannedMigration): Promise<MigrationRun> {
  const { session, history, options, plan } = context;
  const began = performance.now();
  const startedAt = new Date(options.clock.now()).toISOString();
  const direction = plan.direction === "down" ? "down" : "up";
  options.onEvent({ type: "migration-started", migration: migration.id, attempt: 1 });
  const journal = await history.readJournal(session, migration.id, direction);
  const resumedAt = resumePoint(migration, journal, direction === "down" || isUnfinished(context, migration));
  if (resumedAt === 0 && journal[0]?.state === "done") {
    await history.clearJournal(session, migration.id, direction);
  }
  if (direction === "up") {
    const record = historyRecord(context, migration, "running", { done: resumedAt, startedAt, durationMs: null });
    await writeRecord(context, record);
  }
  const statements: StatementReport[] = [];
  const end = plan.phase === null ? migration.statements.length : endOfPhase(migration, plan.phase);
  const isWhole = end === migration.statements.length;
  let attempts = 1;
  refuseSettings(context, migration);
  const before = context.leased
    ? {}
    : await readSettings(session, ["lock_timeout", "statement_timeout", ...migration.settings]);
  try {
    if (!context.leased) await writeSettings(session, limitsOf(migration), "session");
    for (const [index, statement] of migration.statements.entries()) {
      if (index < resumedAt) continue;
      if (index >= end) break;
      // The journal of an applied repeatable was cleared above; what is left is from the run cut short.
      const unsettled = index === resumedAt && journal.some((one) => one.position === index && one.state === "running");
      if (unsettled && (await isSettled(context, migration, statement))) {
        await history.writeJournal(session, [journalRecord(context, migration, statement, index, { state: "done" })]);
        continue;
      }
      const onRetry = (attempt: number, pauseMs: number): void => {
        attempts++;
        options.onEvent({ type: "lock-retry", migration: migration.id, attempt, pauseMs });
        options.metrics.count("db_migrate_lock_retries_total");
      };
      const { clock, signal } = options;
      const report = await withLockRetries(migration.lockRetries, { clock, signal, onRetry }, () =>
        runStep(context, migration, statement, index),
      );
      statements.push(report);
      announceStatement(context, migration, report);
    }
    if (isWhole) await runVerify(session, migration.verify);
  } finally {
    await writeSettings(session, before, "session").catch(() => undefined);
  }
  const durationMs = round(performance.now() - began);
  if (isWhole) await finish(context, migration, startedAt, durationMs);
  const phase = migration.statements[end - 1]?.phase ?? null;
  return { id: migration.id, transactional: false, durationMs, attempts, resumedAt, phase, statements };
}

async function finish(
  context: RunContext,
  migration: PlannedMigration,
  startedAt: string,
  durationMs: number,
): Promise<void> {
  const { session, history, plan } = context;
  const schema = plan.history.drizzleSchema;
  await session.query("begin");
  try {
    if (plan.direction === "down") {
      await history.markReverted(session, migration.id, context.runId);
      await history.clearJournal(session, migration.id, "up");
      await history.clearJournal(session, migration.id, "down");
      await forgetBackfills(session, history, migration.id);
      if (schema !== null && migration.drizzle) await deleteDrizzleRow(session, schema, migration.drizzle);
    } else {
      const done = migration.statements.length;
      await writeRecord(context, historyRecord(context, migration, "applied", { done, startedAt, durationMs }));
      if (schema !== null && migration.drizzle) await writeDrizzleRow(session, schema, migration.drizzle);
    }
    await session.query("commit");
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
}

function limitsOf({ lockTimeoutMs, statementTimeoutMs }: PlannedMigration): Record<string, string> {
  return timeoutSettings(lockTimeoutMs, statementTimeoutMs);
}

function refuseSettings({ leased }: RunContext, { id, settings }: PlannedMigration): void {
  if (!leased || settings.length === 0) return;
  throw new TransactionPoolerError(`${id} sets ${settings.join(", ")} for its session, and the pooler gives it none`, {
    hint: "Connect past the pooler for this migration, or let it run in one transaction.",
  });
}

/** The first statement not done. @throws {HistoryError} when what is done is not what the file says */
function resumePoint(migration: PlannedMigration, journal: readonly JournalEntry[], unfinished: boolean): number {
  // A repeatable that was applied begins anew: its journal tells of the last time.
  if (!unfinished) return 0;
  let point = 0;
  for (const [position, entry] of journal.entries()) {
    if (!isDone(entry)) break;
    const statement = migration.statements[position];
    if (statement?.hash !== entry.hash) {
      throw new HistoryError(
        `statement ${position + 1} of ${migration.id} ran from another text than the file has now`,
        {
          hint: "Restore that statement and change only those that have not run.",
        },
      );
    }
    point = position + 1;
  }
  return point;
}

function isUnfinished({ entries }: RunContext, { id }: PlannedMigration): boolean {
  const state = entries.get(id)?.state;
  return state === "running" || state === "failed";
}

function isDone(entry: JournalEntry): boolean {
  return entry.state === "done";
}

/** Whether a statement that was under way when its runner died took effect. */
async function isSettled(
  { session, options }: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
): Promise<boolean> {
  // Its own checkpoint knows how far it came.
  if (statement.backfill) return false;
  if (statement.index) return isIndexSettled(session, statement.index);
  if (repeatable.test(statement.kind) || options.uncertain === "rerun") return false;
  if (options.uncertain === "skip") return true;
  throw new UncertainStatementError(
    `${statement.kind} of ${migration.id} (line ${statement.line}) was under way when its runner died`,
    { hint: 'Look whether it took effect, then apply with uncertain: "skip" if it did or "rerun" if not.' },
  );
}

async function runStep(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  index: number,
): Promise<StatementReport> {
  if (statement.backfill) return runBackfill(context, migration, statement, index);
  if (statement.transactionNeed !== "outside") {
    try {
      return await runAtomically(context, migration, statement, index);
    } catch (error) {
      const state = error instanceof StatementError ? sqlStateOf(error.cause) : undefined;
      if (statement.transactionNeed !== "own" || state !== endsTransaction) throw error;
    }
  }
  return runNoted(context, migration, statement, index);
}

/** The statement and its journal row, in one transaction. */
async function runAtomically(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  index: number,
): Promise<StatementReport> {
  const { session, history } = context;
  await session.query("begin");
  try {
    if (context.leased) await writeSettings(session, limitsOf(migration), "transaction");
    const report = await runStatement(context, statement, index);
    const done = journalRecord(context, migration, statement, index, { state: "done", report });
    await history.writeJournal(session, [done], context.fence);
    await session.query("commit");
    return report;
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
}

/** Noted before, run on its own, noted after. */
async function runNoted(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  index: number,
): Promise<StatementReport> {
  const { session, history } = context;
  const note = (facts: Parameters<typeof journalRecord>[4]): Promise<void> =>
    history.writeJournal(session, [journalRecord(context, migration, statement, index, facts)], context.fence);
  if (statement.index) await dropInvalidIndex(session, statement.index);
  await note({ state: "running" });
  // Such a statement waits for old transactions by design; given up half-way it leaves an invalid index behind.
  if (!context.leased) await writeSettings(session, { lock_timeout: "0" }, "session");
  try {
    const report = await runStatement(context, statement, index);
    await note({ state: "done", report });
    return report;
  } catch (error) {
    // Removing the index waits for what it waited for itself: the next run does it.
    if (isDbError(error, "CORE_ABORTED")) await note({ state: "failed", error: error.message }).catch(() => undefined);
    if (error instanceof StatementError) {
      if (statement.index) await dropInvalidIndex(session, statement.index).catch(() => false);
      await note({ state: "failed", error: error.message }).catch(() => undefined);
    }
    throw error;
  } finally {
    if (!context.leased) await writeSettings(session, limitsOf(migration), "session").catch(() => undefined);
  }
}
