import { AbortedError, isDbError, type Queryable, sqlStateOf } from "@db/core";
import type { PlannedStatement } from "./plan.ts";
import type { StatementReport } from "./report.ts";
import type { RunContext } from "./run-context.ts";

/** A statement failed, or a verify query said no. Internal: callers see `MigrationFailedError`. */
export class StatementError extends Error {
  readonly statement: PlannedStatement;
  readonly index: number;

  constructor(statement: PlannedStatement, index: number, message: string, cause: unknown) {
    super(message, { cause });
    this.name = "StatementError";
    this.statement = statement;
    this.index = index;
  }
}

/** Runs one statement and times it. @throws {StatementError} */
export async function runStatement(
  { session, options, plan, watcher }: Pick<RunContext, "session" | "options" | "plan" | "watcher">,
  statement: PlannedStatement,
  index: number,
): Promise<StatementReport> {
  const { signal } = options;
  if (signal.aborted) throw new AbortedError("the migration was aborted", { cause: signal.reason });
  const began = performance.now();
  const unwatch = watcher.watch(statement.file, index);
  try {
    const result = statement.program === null ? await session.query(statement.sql) : {};
    if (statement.program !== null) {
      const { runProgram } = await import("./program-run.ts");
      const source = { directory: plan.directory, file: statement.file, checksum: statement.hash };
      await runProgram({ ...source, part: statement.program }, session, { log: options.logger, signal });
    }
    return {
      index,
      kind: statement.kind,
      file: statement.file,
      line: statement.line,
      durationMs: round(performance.now() - began),
      rows: rowsOf(result),
      ...unwatch(),
    };
  } catch (error) {
    unwatch();
    if (isDbError(error, "MIGRATE_PROGRAM")) throw error;
    if (isCancelled(error, signal)) throw new AbortedError("the migration was aborted", { cause: signal.reason });
    throw new StatementError(statement, index, serverMessage(error), error);
  }
}

/** Whether a statement ended because the caller wanted it to: the watcher had it cancelled. */
export function isCancelled(error: unknown, signal: AbortSignal): boolean {
  // query_canceled
  return signal.aborted && sqlStateOf(error) === "57014";
}

/** Runs the verify queries: each must succeed, and one that answers a single boolean must answer true. */
export async function runVerify(session: Queryable, queries: readonly PlannedStatement[]): Promise<void> {
  for (const [index, query] of queries.entries()) {
    let rows: readonly object[];
    try {
      ({ rows } = await session.query(query.sql));
    } catch (error) {
      throw new StatementError(query, index, `verify failed: ${serverMessage(error)}`, error);
    }
    const values = rows.length === 1 ? Object.values(rows[0] ?? {}) : [];
    if (values.length === 1 && values[0] === false) {
      throw new StatementError(query, index, "verify failed: the query answered false", undefined);
    }
  }
}

/** What the server said, without the values it may quote. */
export function serverMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // Class 22 (data exception) quotes the value it could not take.
  return sqlStateOf(error)?.startsWith("22") ? message.replace(/"[^"]*"/g, '"…"') : message;
}

/** Milliseconds with microseconds. */
export function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Rows a statement touched; null when the driver does not say. */
// pg says rowCount, PGlite affectedRows; a driver that says neither is not asked.
export function rowsOf(result: object): number | null {
  const { rowCount, affectedRows } = result as { rowCount?: unknown; affectedRows?: unknown };
  const rows = rowCount ?? affectedRows;
  return typeof rows === "number" ? rows : null;
}
