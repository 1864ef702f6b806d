import type { Queryable } from "@db/core";
import type pg from "pg";
import { refusalOf } from "./call-options.ts";
import type { Connection } from "./connection.ts";
import { DoubleReleaseError, SessionEndedError } from "./errors.ts";
import { StatementFailure } from "./failure.ts";
import { classifyStatementError, runStatement, type Statement, type StatementHost } from "./statement.ts";

/** Bounds of one statement. */
export interface StatementOptions {
  /** Cancels the statement on the server when it fires. */
  readonly signal?: AbortSignal | undefined;
  /** Cancels it after this long. Default `queryTimeoutMs`; `false` lets it run. */
  readonly timeoutMs?: number | false | undefined;
}

/** What a statement may be: its text, or pg's object of text, values, name, row mode and types. */
export type StatementInput = string | pg.QueryConfig<unknown[]> | pg.QueryArrayConfig<unknown[]>;

/**
 * One pinned connection for the length of a callback. Statements run one after another in the order they were asked
 * for; after the callback it refuses everything, since the connection serves somebody else by then.
 */
export class SessionHandle implements Queryable {
  readonly #connection: Connection;
  readonly #host: StatementHost;
  readonly #defaults: { readonly timeoutMs: number | false; readonly signal: AbortSignal | undefined };
  #tail: Promise<unknown> = Promise.resolve();
  #ended = false;
  /** The failure that left the connection unusable or the transaction lost, first one first. */
  broken: StatementFailure | undefined;

  constructor(connection: Connection, host: StatementHost, defaults: SessionHandle["defaults"]) {
    this.#connection = connection;
    this.#host = host;
    this.#defaults = defaults;
  }

  get defaults(): { readonly timeoutMs: number | false; readonly signal: AbortSignal | undefined } {
    return this.#defaults;
  }

  /** The server process as the connection was told it: behind a pooler that is not the one that answers. */
  get processID(): number | undefined {
    return this.#connection.backend?.processId;
  }

  /** @throws {SessionEndedError} after the callback; otherwise as the pool's `query` */
  async query<Row extends object = Record<string, unknown>>(
    config: StatementInput,
    values?: readonly unknown[],
    options: StatementOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    const refusal = options.timeoutMs === undefined ? undefined : refusalOf({ timeoutMs: options.timeoutMs });
    if (refusal) throw refusal;
    const { signal = this.#defaults.signal, timeoutMs = this.#defaults.timeoutMs } = options;
    return (await this.run({ config, values, signal, timeoutMs })) as pg.QueryResult<Row>;
  }

  /** Runs a statement with exactly the bounds it names, after those asked for before. */
  async run(statement: Statement): Promise<pg.QueryResult> {
    if (this.#ended) throw new SessionEndedError();
    const result = this.#tail.then(() => this.#run(statement));
    this.#tail = result.catch(() => undefined);
    return await result;
  }

  /** Waits for what was asked for, then refuses everything more. */
  async end(): Promise<void> {
    await this.#tail;
    this.#ended = true;
  }

  async #run(statement: Statement): Promise<pg.QueryResult> {
    if (this.#ended) throw new SessionEndedError();
    try {
      return await runStatement(this.#connection, statement, this.#host);
    } catch (error) {
      const verdict = classifyStatementError(error, this.#connection, statement);
      if (verdict.evict) this.broken ??= new StatementFailure(error, verdict);
      throw error;
    }
  }
}

/** A session that is held until it is disposed: `await using session = await pool.acquire()`. */
export class OwnedSession extends SessionHandle implements AsyncDisposable {
  readonly #giveBack: (session: SessionHandle) => Promise<void>;
  #given: Promise<void> | undefined;

  constructor(
    connection: Connection,
    host: StatementHost,
    defaults: SessionHandle["defaults"],
    giveBack: (session: SessionHandle) => Promise<void>,
  ) {
    super(connection, host, defaults);
    this.#giveBack = giveBack;
  }

  /**
   * Gives the connection back, with all that was set, locked, prepared or listened to undone.
   * @throws {DoubleReleaseError} the second time
   */
  release(): Promise<void> {
    if (this.#given) return Promise.reject(new DoubleReleaseError());
    this.#given = this.end().then(() => this.#giveBack(this));
    return this.#given;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#given ?? this.release());
  }
}
