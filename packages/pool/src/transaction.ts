import { type Database, quoteIdentifier } from "@db/core";
import type pg from "pg";
import { classifyError } from "./classify.ts";
import type { Connection } from "./connection.ts";
import type { Consistency } from "./consistency.ts";
import type { QueryOptions } from "./engine.ts";
import {
  ConnectionLostError,
  InvalidSettingError,
  QueryTimeoutError,
  TransactionOutcomeUnknownError,
  TransactionRolledBackError,
} from "./errors.ts";
import { StatementFailure } from "./failure.ts";
import type { Target } from "./routing.ts";
import type { Priority } from "./wait-queue.ts";
import type { SessionHandle, StatementInput, StatementOptions } from "./session-handle.ts";

/** How a transaction runs. */
export interface TransactionOptions {
  /** Default: what the server's `default_transaction_isolation` says. */
  readonly isolation?: "read committed" | "repeatable read" | "serializable";
  readonly readOnly?: boolean;
  /** With `serializable` and `readOnly`: waits for a snapshot that can never fail to serialise. */
  readonly deferrable?: boolean;
  /** Default `primary`; another target needs `readOnly`. */
  readonly target?: Target;
  /**
   * How often the whole callback may run again after a serialization failure, a deadlock, or a connection lost before
   * COMMIT was sent. Default `retry.retries`; 0 never runs it twice.
   */
  readonly retries?: number;
  /** Settings for this transaction only, as `set local`: `{ "app.tenant": "42", role: "tenant" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Bound of the whole callback: the running statement is cancelled and the transaction rolled back. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Its place among those who wait for a connection. Default `normal`. */
  readonly priority?: Priority;
  /** What it sees where it reads on a replica. Default: the pool's `consistency`. */
  readonly consistency?: Consistency;
  /**
   * Asks for the transaction's id before COMMIT, one round trip, so that a COMMIT whose answer was lost can be looked
   * up on the same server instead of ending in `TransactionOutcomeUnknownError`. Default `false`.
   */
  readonly resolveOutcome?: boolean;
}

/** A running transaction. It is a `Database`: what begins a transaction on it gets a savepoint. */
export interface Transaction extends Database {
  /** 1 for the first run of the callback. */
  readonly attempt: number;
  query<Row extends object = Record<string, unknown>>(
    config: StatementInput,
    values?: readonly unknown[],
    options?: StatementOptions,
  ): Promise<pg.QueryResult<Row>>;
  /** Keeps what `use` did when it returns, undoes only that when it throws. */
  savepoint<T>(use: (tx: Transaction) => Promise<T>): Promise<T>;
  withTransaction<T>(use: (tx: Transaction) => Promise<T>): Promise<T>;
  withSession<T>(use: (session: Transaction) => Promise<T>): Promise<T>;
}

/** The statements that begin a transaction as its options ask. */
export function beginStatements(options: TransactionOptions): StatementInput[] {
  const { isolation, readOnly, deferrable, settings = {} } = options;
  const words = ["begin"];
  if (isolation !== undefined) words.push(`isolation level ${isolation}`);
  if (readOnly !== undefined) words.push(readOnly ? "read only" : "read write");
  if (deferrable !== undefined) words.push(deferrable ? "deferrable" : "not deferrable");
  const entries = checkSettings(settings);
  if (entries.length === 0) return [words.join(" ")];
  const calls = entries.map((_, index) => `pg_catalog.set_config($${2 * index + 1}, $${2 * index + 2}, true)`);
  return [words.join(" "), { text: `select ${calls.join(", ")}`, values: entries.flat() }];
}

/** The transaction of one statement that has settings of its own. */
export function settingsTransaction(
  { settings = {}, target, signal, priority, consistency }: QueryOptions,
  defaultTarget: Target,
): TransactionOptions {
  const where = target ?? defaultTarget;
  return {
    settings,
    target: where,
    ...(where === "primary" ? {} : { readOnly: true }),
    ...(signal === undefined ? {} : { signal }),
    ...(priority === undefined ? {} : { priority }),
    ...(consistency === undefined ? {} : { consistency }),
  };
}

/**
 * The settings, each of which may be one. `set_config` takes them as parameters, so nothing in them is ever read as SQL.
 * @throws {InvalidSettingError}
 */
export function checkSettings(settings: Readonly<Record<string, string>>): [name: string, value: string][] {
  const entries = Object.entries(settings);
  for (const [name, value] of entries) {
    if (!/^[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*$/.test(name)) {
      throw new InvalidSettingError(name, "is not named as a setting can be");
    }
    if (typeof value !== "string") throw new InvalidSettingError(name, `is ${typeof value}, not text`);
    if (value.includes("\0"))
      throw new InvalidSettingError(name, "holds a zero byte, which PostgreSQL has no text for");
  }
  return entries;
}

/** Makes the transaction a callback sees from the session it runs on. */
export function openTransaction(session: SessionHandle, attempt: number): Transaction {
  let savepoints = 0;
  const tx: Transaction = {
    attempt,
    query: (config, values, options) => session.query(config, values, options),
    withTransaction: (use) => tx.savepoint(use),
    withSession: (use) => use(tx),
    savepoint: async (use) => {
      const name = quoteIdentifier(`sp_${(savepoints += 1)}`);
      await session.query(`savepoint ${name}`);
      let result;
      try {
        result = await use(tx);
      } catch (error) {
        // The first error is the one worth reading.
        await session.query(`rollback to savepoint ${name}; release savepoint ${name}`).catch(() => undefined);
        throw error;
      }
      await session.query(`release savepoint ${name}`);
      return result;
    },
  };
  return tx;
}

/** Learns what became of a COMMIT whose answer was lost. */
export type OutcomeResolver = (transactionId: string) => Promise<"committed" | "aborted" | "unknown">;

/**
 * Commits.
 * @throws {StatementFailure} with its verdict: never to be retried around {@link TransactionOutcomeUnknownError} when
 * the answer was lost and nobody can tell, and around {@link TransactionRolledBackError} when the server rolled back
 */
export async function commit(session: SessionHandle, connection: Connection, resolve?: OutcomeResolver): Promise<void> {
  let transactionId: string | undefined;
  if (resolve) {
    // Read-only transactions have none, and need none.
    const { rows } = await session.query<{ id: string | null }>(
      "select pg_catalog.txid_current_if_assigned()::text as id",
    );
    transactionId = rows[0]?.id ?? undefined;
  }
  if (!connection.usable) {
    const cause = connection.brokenBy ?? new Error("connection ended");
    const lost = new ConnectionLostError({ server: connection.server, phase: "unsent", cause });
    throw new StatementFailure(lost, classifyError(lost));
  }
  let result: pg.QueryResult;
  try {
    // A caller who gives up now could not be told what happened, so only the time-out may interrupt: a cancel the
    // server confirms means it rolled back.
    const { timeoutMs } = session.defaults;
    result = await session.run({ config: "commit", values: undefined, signal: undefined, timeoutMs });
  } catch (error) {
    const unanswered = error instanceof QueryTimeoutError && !error.cancelled;
    const verdict = classifyError(unanswered ? error.cause : error, { phase: "commit" });
    if (verdict.kind !== "unknown-outcome") throw new StatementFailure(error, verdict);
    const outcome = resolve && transactionId !== undefined ? await resolve(transactionId) : "unknown";
    if (outcome === "committed") return;
    if (outcome === "aborted") throw new StatementFailure(error, { kind: "connection", retry: "always", evict: true });
    const unknown = new TransactionOutcomeUnknownError({ server: connection.server, transactionId, cause: error });
    throw new StatementFailure(unknown, { kind: "unknown-outcome", retry: "never", evict: true });
  }
  // A transaction with a failed statement answers COMMIT with ROLLBACK, without an error.
  if (result.command === "ROLLBACK") {
    throw new StatementFailure(new TransactionRolledBackError(), classifyError(undefined));
  }
}
