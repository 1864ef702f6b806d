import { AbortedError, isConnectionError, sqlStateOf } from "@db/core";
import { fencedError } from "./migration-lock.ts";
import { drizzleRowSql } from "./drizzle-history.ts";
import type { PlannedMigration, PlannedStatement } from "./plan.ts";
import type { StatementReport } from "./report.ts";
import { announceStatement, historyRecord, type RunContext } from "./run-context.ts";
import { runScript } from "./script.ts";
import { timeoutSettings } from "./session-settings.ts";
import { isCancelled, round, rowsOf, runVerify, serverMessage, StatementError } from "./statement-run.ts";

/** The answer to COMMIT was lost: the history, read again, knows whether it happened. Internal. */
export class CommitUnknownError extends Error {
  constructor(cause: unknown) {
    super("the connection was lost while committing: whether it took effect is not known", { cause });
    this.name = "CommitUnknownError";
  }
}

/** Whether a migration may run as scripts: going up, on a session that takes them, without settings to give back. */
export function isScriptable({ scripts, plan }: RunContext, migration: PlannedMigration): boolean {
  const isSql = migration.statements.length > 0 && migration.statements.every(({ program }) => program === null);
  const changes = migration.settings.length + (migration.localSettings ?? []).length;
  return scripts && plan.direction === "up" && changes === 0 && isSql;
}

/**
 * The whole transaction of a migration, BEGIN and COMMIT included, in one round trip a statement: the first brings
 * BEGIN and the time-outs with it, the last the history row and COMMIT. An error is the statement's own, since what
 * travels with it is ours.
 */
export async function runScripted(
  context: RunContext,
  migration: PlannedMigration,
  startedAt: string,
): Promise<StatementReport[]> {
  try {
    return await runOnce(context, migration, startedAt);
  } catch (error) {
    if (!forgetPrepared(context, error)) throw error;
    await context.session.query("rollback");
    return runOnce(context, migration, startedAt);
  }
}

async function runOnce(
  context: RunContext,
  migration: PlannedMigration,
  startedAt: string,
): Promise<StatementReport[]> {
  const { session, options } = context;
  const { statements, verify } = migration;
  const opening = openingOf(migration);
  const closing = closingOf(context, migration, startedAt);
  const reports: StatementReport[] = [];
  for (const [index, statement] of statements.entries()) {
    if (options.signal.aborted) throw new AbortedError("the migration was aborted", { cause: options.signal.reason });
    const before = index === 0 ? opening : [];
    const after = index === statements.length - 1 && verify.length === 0 ? closing : [];
    const began = performance.now();
    let rows: number | null;
    const unwatch = context.watcher.watch(statement.file, index);
    try {
      const results = await runScript(session, [...before, statement.sql, ...after]);
      rows = rowsOf(results[before.length] ?? {});
    } catch (error) {
      unwatch();
      const { signal } = options;
      if (isCancelled(error, signal)) throw new AbortedError("the migration was aborted", { cause: signal.reason });
      throw errorOf(context, error, statement, index, after.length > 0);
    }
    const { kind, file, line } = statement;
    const durationMs = round(performance.now() - began);
    reports.push({ index, kind, file, line, durationMs, rows, ...unwatch() });
    announceStatement(context, migration, reports[index] as StatementReport);
  }
  if (verify.length > 0) {
    await runVerify(session, verify);
    await runScript(session, closing).catch((error: unknown) => {
      if (context.history.isFenced(error)) throw fencedError(context);
      throw isLost(error) ? new CommitUnknownError(error) : error;
    });
  }
  return reports;
}

const worthPreparing = 5;

/** Prepares writing the history where it pays: `use` may then run as many migrations as it likes. */
export async function withPreparedHistory(
  context: RunContext,
  migrations: readonly PlannedMigration[],
  use: () => Promise<void>,
): Promise<void> {
  const { session, history, runId, prepared, fence, leased } = context;
  // What one server process has prepared, the next one does not know.
  if (leased || migrations.filter((migration) => isScriptable(context, migration)).length < worthPreparing)
    return use();
  const name = `db_migrate_${runId.slice(0, 8)}`;
  await history.prepareWrite(session, name, fence);
  prepared.name = name;
  try {
    await use();
  } finally {
    if (prepared.name !== null) {
      await session.query(`deallocate ${name}`).catch(() => undefined);
      await session.query(`deallocate ${name}_new`).catch(() => undefined);
    }
  }
}

/** Whether a migration's own DEALLOCATE took the prepared statement away; the next attempt goes without it. */
function forgetPrepared({ prepared }: RunContext, error: unknown): boolean {
  // invalid_sql_statement_name
  if (prepared.name === null || sqlStateOf(error instanceof StatementError ? error.cause : error) !== "26000") {
    return false;
  }
  prepared.name = null;
  return true;
}

function openingOf(migration: PlannedMigration): string[] {
  const settings = timeoutSettings(migration.lockTimeoutMs, migration.statementTimeoutMs);
  const limits = Object.entries(settings).map(([name, value]) => `set local ${name} = '${value}'`);
  // The disk is waited for once, by the row that ends the run: SQL and history row are one transaction, so a server
  // that crashes before loses both or neither.
  return ["begin", ...limits, "set local synchronous_commit = off"];
}

/** The history row and COMMIT. Without a start the server takes the end of what came before in the same text. */
export function closingOf(context: RunContext, migration: PlannedMigration, startedAt: string | null): string[] {
  const { history, plan } = context;
  const facts = { done: migration.statements.length, startedAt, durationMs: null };
  const row = historyRecord(context, migration, "applied", facts);
  // Ascending is all that counts: a migration that failed leaves a hole.
  const place = { sequence: context.sequence.next++, fence: context.fence };
  const { name } = context.prepared;
  const known = context.entries.has(migration.id);
  const record =
    name === null
      ? history.writeSql(row, place)
      : history.executeSql(known ? name : `${name}_new`, row, place.sequence);
  const schema = plan.history.drizzleSchema;
  const drizzle = schema !== null && migration.drizzle ? [drizzleRowSql(schema, migration.drizzle)] : [];
  return [record, ...drizzle, "commit"];
}

function errorOf(
  context: RunContext,
  error: unknown,
  statement: PlannedStatement,
  index: number,
  commits: boolean,
): Error {
  if (context.history.isFenced(error)) return fencedError(context);
  if (commits && isLost(error)) return new CommitUnknownError(error);
  return new StatementError(statement, index, serverMessage(error), error);
}

// An error that came from the server is an answer: nothing was committed. A lost connection is none.
function isLost(error: unknown): boolean {
  return isConnectionError(error) || sqlStateOf(error) === undefined;
}
