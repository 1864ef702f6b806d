import { sqlStateOf } from "@db/core";
import type { JournalRecord } from "./history.ts";
import type { PlannedMigration } from "./plan.ts";
import type { MigrationRun } from "./report.ts";
import { announceStatement, journalRecord, type RunContext } from "./run-context.ts";
import { runScript, type ScriptResult } from "./script.ts";
import { closingOf, CommitUnknownError, isScriptable } from "./scripted-run.ts";
import { readSettings, timeoutSettings, writeSettings } from "./session-settings.ts";
import { rowsOf, serverMessage } from "./statement-run.ts";

const mostMigrations = 25;
const longestText = 64 * 1024;
// What is sent before the statement of a migration: BEGIN.
const opening = 1;

/**
 * How many of the next migrations may share one round trip: small ones of one quick statement with the same limits.
 * Each is still a transaction of its own with its history row; only the waiting for answers is shared.
 */
export function batchableCount(context: RunContext, migrations: readonly PlannedMigration[]): number {
  const [first] = migrations;
  if (!first || context.prepared.name === null) return 0;
  let count = 0;
  let length = 0;
  for (const migration of migrations.slice(0, mostMigrations)) {
    length += migration.statements[0]?.sql.length ?? 0;
    if (!isQuick(context, migration) || !hasSameLimits(migration, first) || length > longestText) break;
    count++;
  }
  return count < 2 ? 0 : count;
}

function isQuick(context: RunContext, migration: PlannedMigration): boolean {
  const [statement] = migration.statements;
  if (!statement || migration.statements.length > 1 || migration.verify.length > 0) return false;
  if (!migration.transactional || !isScriptable(context, migration) || migration.previousState !== null) return false;
  const { rewrites, scans, indexBuilds, opaque } = statement.effects;
  if (opaque || rewrites.length > 0 || scans.length > 0 || indexBuilds.length > 0) return false;
  if (statement.kind === "INSERT") return !/\bselect\b/i.test(statement.sql);
  return /^(CREATE (UNIQUE )?INDEX|CREATE (TABLE|TYPE|SCHEMA|SEQUENCE|VIEW)|ALTER TABLE|COMMENT)\b/.test(
    statement.kind,
  );
}

/** Whether two migrations may run under the same session's limits. */
export function hasSameLimits(one: PlannedMigration, other: PlannedMigration): boolean {
  return one.lockTimeoutMs === other.lockTimeoutMs && one.statementTimeoutMs === other.statementTimeoutMs;
}

/**
 * Runs such migrations in one round trip, in order.
 * @returns the runs of those that were committed: fewer than asked for when one failed, which the caller then runs by
 * itself to learn why, with its retries
 * @throws {CommitUnknownError} when the connection was lost
 */
export async function runBatched(
  context: RunContext,
  migrations: readonly PlannedMigration[],
): Promise<readonly MigrationRun[]> {
  const { session, options } = context;
  for (const { id } of migrations) options.onEvent({ type: "migration-started", migration: id, attempt: 1 });
  const scripts = migrations.map((migration) => [
    "begin",
    migration.statements[0]?.sql ?? "",
    ...closingOf(context, migration, null),
  ]);
  let results: readonly ScriptResult[];
  try {
    results = await runScript(session, scripts.flat());
  } catch (error) {
    return await runsBefore(context, migrations, error);
  }
  const runs: MigrationRun[] = [];
  let at = 0;
  for (const [index, migration] of migrations.entries()) {
    const [statement, row] = results.slice(at + opening, at + opening + 2);
    const { ms = 0 } = (row?.rows[0] ?? {}) as { readonly ms?: number };
    runs.push(runOf(context, migration, ms, rowsOf(statement ?? {})));
    at += scripts[index]?.length ?? 0;
  }
  await context.journal.add(
    runs.flatMap((run, index) => journalOf(context, migrations[index] as PlannedMigration, run)),
  );
  return runs;
}

/** Sets the limits for a row of batches, and gives the session its own back after them. */
export async function withSessionLimits<T>(
  { session }: RunContext,
  { lockTimeoutMs, statementTimeoutMs }: PlannedMigration,
  use: () => Promise<T>,
): Promise<T> {
  const before = await readSettings(session, ["lock_timeout", "statement_timeout", "synchronous_commit"]);
  // The disk is waited for once, by the row that ends the run.
  const during = { ...timeoutSettings(lockTimeoutMs, statementTimeoutMs), synchronous_commit: "off" };
  await writeSettings(session, during, "session");
  try {
    return await use();
  } finally {
    await writeSettings(session, before, "session").catch(() => undefined);
  }
}

function runOf(
  context: RunContext,
  migration: PlannedMigration,
  durationMs: number,
  rows: number | null,
): MigrationRun {
  const [statement] = migration.statements;
  const { kind = "", file = "", line = 1 } = statement ?? {};
  const report = { index: 0, kind, file, line, durationMs, rows, waitedMs: null, locks: null };
  announceStatement(context, migration, report);
  return {
    id: migration.id,
    transactional: true,
    durationMs,
    attempts: 1,
    resumedAt: 0,
    phase: null,
    statements: [report],
  };
}

function journalOf(context: RunContext, migration: PlannedMigration, run: MigrationRun): JournalRecord[] {
  return migration.statements.map((statement, position) =>
    journalRecord(context, migration, statement, position, { state: "done", report: run.statements[position]! }),
  );
}

/** Asks the history which of them were committed before the one that failed. */
async function runsBefore(
  context: RunContext,
  migrations: readonly PlannedMigration[],
  error: unknown,
): Promise<readonly MigrationRun[]> {
  const { session, history, runId } = context;
  // An error that came from the server is an answer; a lost connection is none.
  if (sqlStateOf(error) === undefined) throw new CommitUnknownError(error);
  let done: ReadonlyMap<string, number>;
  try {
    await session.query("rollback");
    done = await history.readRun(session, runId);
  } catch {
    throw new CommitUnknownError(new Error(serverMessage(error), { cause: error }));
  }
  const runs = migrations.flatMap((migration) => {
    const ms = done.get(migration.id);
    return ms === undefined ? [] : [runOf(context, migration, ms, null)];
  });
  await context.journal.add(
    runs.flatMap((run, index) => journalOf(context, migrations[index] as PlannedMigration, run)),
  );
  return runs;
}
