import { isConnectionError, sqlStateOf } from "@db/core";
import { forgetBackfills } from "./backfill-run.ts";
import { deleteDrizzleRow, writeDrizzleRow } from "./drizzle-history.ts";
import type { JournalRecord } from "./history.ts";
import type { PlannedMigration } from "./plan.ts";
import type { MigrationRun, StatementReport } from "./report.ts";
import { withLockRetries } from "./retry.ts";
import { announceStatement, historyRecord, journalRecord, type RunContext, writeRecord } from "./run-context.ts";
import { CommitUnknownError, isScriptable, runScripted } from "./scripted-run.ts";
import { readSettings, timeoutSettings, writeSettings } from "./session-settings.ts";
import { round, runStatement, runVerify } from "./statement-run.ts";

/**
 * Runs a migration, its verify queries and its history row in one transaction. A lock time-out rolls everything
 * back before the pause, so that nothing is held while waiting.
 */
export async function runTransactional(context: RunContext, migration: PlannedMigration): Promise<MigrationRun> {
  const { options } = context;
  const { clock, signal } = options;
  let attempts = 0;
  const onRetry = (attempt: number, pauseMs: number): void => {
    options.onEvent({ type: "lock-retry", migration: migration.id, attempt, pauseMs });
    options.metrics.count("db_migrate_lock_retries_total");
    options.logger.info({ migration: migration.id, attempt, pauseMs }, "lock not granted in time, trying again");
  };
  return withLockRetries(migration.lockRetries, { clock, signal, onRetry }, async (attempt) => {
    attempts = attempt;
    options.onEvent({ type: "migration-started", migration: migration.id, attempt });
    const began = performance.now();
    const startedAt = new Date(clock.now()).toISOString();
    const scripted = isScriptable(context, migration);
    let statements: StatementReport[];
    try {
      if (scripted) statements = await runScripted(context, migration, startedAt);
      else {
        statements = await runInside(context, migration);
        await record(context, migration, statements, startedAt, round(performance.now() - began));
      }
    } catch (error) {
      // The first error is the one worth reading.
      await context.session.query("rollback").catch(() => undefined);
      throw error;
    }
    if (!scripted) await commit(context);
    const durationMs = round(performance.now() - began);
    if (context.plan.direction === "up") await context.journal.add(journalOf(context, migration, statements));
    return { id: migration.id, transactional: true, durationMs, attempts, resumedAt: 0, phase: null, statements };
  });
}

/** Begins, and runs the statements and verify queries. No query comes before them: SET TRANSACTION has to be the first. */
async function runInside(context: RunContext, migration: PlannedMigration): Promise<StatementReport[]> {
  const { session } = context;
  const before = await readSettings(session, migration.settings);
  const local = await readSettings(session, migration.localSettings ?? []);
  await session.query("begin");
  const limits = timeoutSettings(migration.lockTimeoutMs, migration.statementTimeoutMs);
  for (const [name, value] of Object.entries(limits)) await session.query(`set local ${name} = '${value}'`);
  const reports: StatementReport[] = [];
  for (const [index, statement] of migration.statements.entries()) {
    const report = await runStatement(context, statement, index);
    reports.push(report);
    announceStatement(context, migration, report);
  }
  await runVerify(session, migration.verify);
  await writeSettings(session, local, "transaction");
  await writeSettings(session, before, "session");
  return reports;
}

async function record(
  context: RunContext,
  migration: PlannedMigration,
  reports: readonly StatementReport[],
  startedAt: string,
  durationMs: number,
): Promise<void> {
  const { session, history, plan } = context;
  if (plan.direction === "down") {
    await history.markReverted(session, migration.id, context.runId);
    await history.clearJournal(session, migration.id, "up");
    await forgetBackfills(session, history, migration.id);
    if (plan.history.drizzleSchema !== null && migration.drizzle) {
      await deleteDrizzleRow(session, plan.history.drizzleSchema, migration.drizzle);
    }
    return;
  }
  const facts = { done: reports.length, startedAt, durationMs };
  await writeRecord(context, historyRecord(context, migration, "applied", facts));
  if (plan.history.drizzleSchema !== null && migration.drizzle) {
    await writeDrizzleRow(session, plan.history.drizzleSchema, migration.drizzle);
  }
}

function journalOf(
  context: RunContext,
  migration: PlannedMigration,
  reports: readonly StatementReport[],
): JournalRecord[] {
  return migration.statements.map((statement, position) => {
    const report = reports[position];
    return journalRecord(context, migration, statement, position, { state: "done", ...(report ? { report } : {}) });
  });
}

async function commit(context: RunContext): Promise<void> {
  try {
    await context.session.query("commit");
  } catch (error) {
    // A deferred constraint that fails here is an answer: nothing was committed. A lost connection is none.
    if (isConnectionError(error) || sqlStateOf(error) === undefined) throw new CommitUnknownError(error);
    throw error;
  }
}
