import type { Transaction } from "@db/pool";
import type pg from "pg";
import { recordUse } from "../use.ts";
import { processManager } from "./connection-manager.ts";
import { currentContext, withTransactionContext } from "./request-context.ts";

/**
 * What the repositories of the platform extend. Statements run in the transaction around the request where there is
 * one; without, reads go to a replica and writes to the primary.
 */
export abstract class BaseRepository {
  constructor() {
    recordUse("BaseRepository");
  }

  /** A read. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the old type
  protected async read<R extends pg.QueryResultRow = any>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    const transaction = currentContext()?.transaction;
    const result = transaction
      ? await transaction.query<R>(text, [...values])
      : await processManager().query<R>(text, values);
    return result.rows;
  }

  /** A write. @returns what `returning` names, else no rows */
  // oxlint-disable-next-line typescript/no-explicit-any -- the old type
  protected async write<R extends pg.QueryResultRow = any>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<R[]> {
    const transaction = currentContext()?.transaction;
    const result = transaction
      ? await transaction.query<R>(text, [...values])
      : await processManager().query<R>(text, values, false);
    return result.rows;
  }

  /** Everything in `work` happens or nothing: a transaction of its own, or the one of the request. */
  protected transaction<T>(work: (client: Transaction) => Promise<T>): Promise<T> {
    const outer = currentContext()?.transaction;
    if (outer) return work(outer);
    return processManager().transaction((tx) => withTransactionContext(tx, () => work(tx)));
  }
}
