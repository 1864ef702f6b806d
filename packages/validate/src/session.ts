import { AbortedError, type Queryable } from "@db/core";
import { type ResolvedValidationOptions, timeoutSetting } from "./options.ts";

/**
 * Makes a fresh transaction a reader of one snapshot, bounded in time. It must be the first thing said in it.
 * Nothing a rule says can write from here.
 */
export async function readOneSnapshot(tx: Queryable, options: ResolvedValidationOptions): Promise<void> {
  await tx.query("set transaction isolation level repeatable read, read only");
  await tx.query(
    `select pg_catalog.set_config('statement_timeout', $1, true),
            pg_catalog.set_config('lock_timeout', $2, true)`,
    [timeoutSetting(options.statementTimeoutMs), timeoutSetting(options.lockTimeoutMs)],
  );
}

/** Runs a statement that may fail without ending the transaction. */
export async function attempt<Row extends object>(
  tx: Queryable,
  sql: string,
  values: readonly unknown[],
): Promise<{ readonly rows: readonly Row[] } | { readonly error: unknown }> {
  await tx.query("savepoint attempt");
  try {
    const { rows } = await tx.query<Row>(sql, values);
    await tx.query("release savepoint attempt");
    return { rows };
  } catch (error) {
    // A lost connection fails here again, and then ends the run with the first reason.
    await tx.query("rollback to savepoint attempt").catch(() => {
      throw error;
    });
    await tx.query("release savepoint attempt");
    return { error };
  }
}

/** @throws {AbortedError} when the signal has fired */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError("the validation was aborted", { cause: signal.reason });
}
