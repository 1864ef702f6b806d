import type { Database } from "@db/core";
import type pg from "pg";
import type { Engine, QueryOptions, SessionOptions } from "./engine.ts";
import type { Target } from "./routing.ts";
import type { SessionHandle, StatementInput } from "./session-handle.ts";
import type { Transaction, TransactionOptions } from "./transaction.ts";

/** The pool seen through one target: everything asked of it goes there. A `Database`, so every feature takes it. */
export class PoolView implements Database {
  readonly #engine: Engine;
  readonly target: Target;

  constructor(engine: Engine, target: Target) {
    this.#engine = engine;
    this.target = target;
  }

  async query<Row extends object = Record<string, unknown>>(
    config: StatementInput,
    values?: readonly unknown[],
    options: Omit<QueryOptions, "target"> = {},
  ): Promise<pg.QueryResult<Row>> {
    return (await this.#engine.query(config, values, { ...options, target: this.target })) as pg.QueryResult<Row>;
  }

  withSession<T>(
    use: (session: SessionHandle) => Promise<T>,
    options: Omit<SessionOptions, "target"> = {},
  ): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    return this.#engine.session(use, { ...options, target: this.target }, stack);
  }

  /** On replicas the transaction is read-only. */
  withTransaction<T>(
    use: (tx: Transaction) => Promise<T>,
    options: Omit<TransactionOptions, "target"> = {},
  ): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    const readOnly = this.target === "primary" ? options.readOnly : true;
    const mode = readOnly === undefined ? {} : { readOnly };
    return this.#engine.transaction(use, { ...options, ...mode, target: this.target }, stack);
  }
}
