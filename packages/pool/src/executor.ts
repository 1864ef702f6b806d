import type pg from "pg";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { StatementFailure } from "./failure.ts";
import { classifyStatementError, runStatement, type Statement, type StatementHost } from "./statement.ts";

/** Runs autocommit statements on one server. How it shares connections among them is its own affair. */
export interface Executor {
  /**
   * Runs a statement, and `afterward` on the connection that ran it before that is lent again.
   * @throws {StatementFailure}
   */
  execute(statement: Statement, afterward?: (connection: Connection) => Promise<void>): Promise<pg.QueryResult>;
}

/** What is to be done around a statement on the connection it got. */
export interface ExecutorHooks {
  /** Called before the statement is sent. */
  taken(connection: Connection): void;
  /** How long it took. What it returns has the connection before it is given back; the statement does not wait for it. */
  served(durationMs: number, connection: Connection): Promise<void> | undefined;
  /** True when a stale plan costs the statement its name, not the connection. */
  readonly renews: boolean;
}

/** One statement, one connection: taken for it and given back after it, whatever the statement was. */
export class ExclusiveExecutor implements Executor {
  readonly #connections: Connections;
  readonly #host: StatementHost;

  constructor(connections: Connections, host: StatementHost) {
    this.#connections = connections;
    this.#host = host;
  }

  async execute(
    statement: Statement,
    afterward?: (connection: Connection) => Promise<void>,
    hooks?: ExecutorHooks,
  ): Promise<pg.QueryResult> {
    let connection: Connection | undefined;
    try {
      connection = await this.#connections.acquire({
        borrowed: false,
        signal: statement.signal,
        priority: statement.priority,
      });
      hooks?.taken(connection);
      const began = performance.now();
      const result = await runStatement(connection, statement, this.#host);
      const more = hooks?.served(performance.now() - began, connection);
      if (afterward) await afterward(connection);
      if (more) void more.then(() => this.#connections.release(connection!));
      else this.#connections.release(connection);
      return result;
    } catch (error) {
      const verdict = classifyStatementError(error, connection, statement);
      // An SQL error says nothing about the connection: it stays, unless it broke or cannot be trusted.
      const evict = verdict.evict && !(verdict.kind === "stale-plan" && hooks?.renews);
      if (connection) this.#connections.release(connection, evict ? asError(error) : undefined);
      throw new StatementFailure(error, verdict);
    }
  }
}

function asError(error: unknown): Error | true {
  return error instanceof Error ? error : true;
}
