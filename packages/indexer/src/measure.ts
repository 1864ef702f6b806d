import { type DatabaseLike, type Queryable, sqlStateOf, toDatabase } from "@db/core";
import { InvalidIndexError, UnmeasurableQueryError } from "./errors.ts";
import { type ExplainOutput, type PlanSummary, readExplain, summarizePlan } from "./explain.ts";
import { parseStatements } from "./syntax.ts";

/** A query to be run for its time. */
export interface MeasuredQuery {
  /** One SELECT, with `$1`, `$2`, … for its values. */
  readonly sql: string;
  readonly values?: readonly unknown[];
}

/** How a query is measured. */
export interface MeasureOptions {
  /** Runs that count; the median is taken. Default 5. */
  readonly runs?: number;
  /** Runs before them that do not count, to warm the cache. Default 1. */
  readonly warmup?: number;
  /** Longest any one run may take. Default 60 000. */
  readonly statementTimeoutMs?: number;
}

/** How long a query takes, and how the server does it. Plain data, without the query's values. */
export interface QueryMeasurement {
  readonly runs: number;
  /** Execution time in the server, milliseconds. */
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly planningMs: number;
  readonly plan: PlanSummary;
}

/**
 * Runs a query several times and takes the median of its time in the server, by EXPLAIN ANALYZE without the clock
 * calls per row. Only reads: the transaction is read-only and rolled back by its end.
 * @throws {UnmeasurableQueryError} for anything but one SELECT
 */
export async function measureQuery(
  db: DatabaseLike,
  query: MeasuredQuery,
  { runs = 5, warmup = 1, statementTimeoutMs = 60_000 }: MeasureOptions = {},
): Promise<QueryMeasurement> {
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(warmup) || warmup < 0) {
    throw new InvalidIndexError("runs must be at least 1 and warmup at least 0", { hint: "Give whole numbers." });
  }
  await refuseOtherThanSelect(query.sql);
  const outputs = await toDatabase(db).withTransaction(async (tx) => {
    await tx.query("set transaction read only");
    await tx.query(`set local statement_timeout = ${Math.ceil(Math.min(statementTimeoutMs, 2_147_483_647))}`);
    const found: ExplainOutput[] = [];
    for (let run = 0; run < warmup + runs; run += 1) {
      const output = await explainAnalyze(tx, query);
      if (run >= warmup) found.push(output);
    }
    return found;
  });
  const times = outputs.map((output) => output["Execution Time"] ?? 0).sort((a, b) => a - b);
  const planning = outputs.map((output) => output["Planning Time"] ?? 0).sort((a, b) => a - b);
  return {
    runs,
    medianMs: median(times),
    minMs: times[0]!,
    maxMs: times.at(-1)!,
    planningMs: median(planning),
    plan: summarizePlan(outputs.at(-1)!),
  };
}

async function explainAnalyze(tx: Queryable, { sql, values }: MeasuredQuery): Promise<ExplainOutput> {
  const { rows } = await tx.query<object>(`explain (analyze, timing off, format json) ${sql}`, values);
  return readExplain(rows[0]);
}

async function refuseOtherThanSelect(sql: string): Promise<void> {
  const hint = "Give one SELECT, with its values beside it.";
  const statements = await parseStatements(sql).catch((error: unknown) => {
    if (sqlStateOf(error) !== undefined) throw error;
    throw new UnmeasurableQueryError("the query cannot be parsed", { cause: error, hint });
  });
  const only = statements.length === 1 ? (statements[0] as object) : {};
  if (!("SelectStmt" in only)) throw new UnmeasurableQueryError("the query is not one SELECT", { hint });
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
