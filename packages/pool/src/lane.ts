import { sqlStateOf } from "@db/core";
import type pg from "pg";
import type { Connection } from "./connection.ts";
import type { StatementPhase } from "./errors.ts";
import { StatementFailure, unwrapFailure } from "./failure.ts";
import { classifyStatementError, explain, type Statement, type StatementHost } from "./statement.ts";

/** What a lane is told with a statement. */
export interface LaneRun {
  /** True when a stale plan costs the statement its name, not the connection. */
  readonly renews: boolean;
  /** How long the server was busy with it. */
  served(durationMs: number): void;
}

interface InFlight {
  readonly statement: Statement;
  readonly of: LaneRun;
  phase: StatementPhase;
}

/**
 * A connection shared by several statements: each is sent without waiting for the answers to those before it, and what
 * is sent in one tick goes out in one write. Answers come in the order of the statements, and each is a transaction of
 * its own, so one that fails costs the others nothing.
 */
export class Lane {
  readonly connection: Connection;
  readonly #host: StatementHost;
  readonly #emptied: (lane: Lane, broken: Error | undefined) => void;
  readonly #queue: InFlight[] = [];
  /** When the first in the queue began to have the server for itself. */
  #headSince = 0;
  #corked = false;
  /** The server ended the session in answer to one statement, so it began none of those behind it. */
  #ended = false;
  #broken: Error | undefined;
  #closed = false;

  constructor(
    connection: Connection,
    of: {
      readonly host: StatementHost;
      readonly emptied: (lane: Lane, broken: Error | undefined) => void;
    },
  ) {
    this.connection = connection;
    this.#host = of.host;
    this.#emptied = of.emptied;
    connection.pipelined = true;
  }

  get depth(): number {
    return this.#queue.length;
  }

  get usable(): boolean {
    return !this.#closed && !this.#broken && this.connection.usable;
  }

  /** How long the statement it works on has had the server. */
  headMs(now: number): number {
    return this.#queue.length === 0 ? 0 : now - this.#headSince;
  }

  /**
   * Sends a statement.
   * @throws {StatementFailure}
   */
  async run(statement: Statement, of: LaneRun): Promise<pg.QueryResult> {
    const { connection } = this;
    const { config, values } = statement;
    const since = performance.now();
    const place: InFlight = { statement, of, phase: "sent" };
    if (this.#queue.length === 0) {
      this.#headSince = since;
      connection.phase = "sent";
    }
    this.#queue.push(place);
    this.#cork();
    const text = typeof config === "string" ? config : config.text;
    connection.lastStatement = text;
    let failed = true;
    try {
      const result = await new Promise<pg.QueryResult>((resolve, reject) => {
        connection.client.query(config as string, values as unknown[], (error, answer) => {
          const failure = this.#answered(place, error);
          if (failure) reject(failure);
          else resolve(answer);
        });
      });
      failed = false;
      return result;
    } catch (error) {
      // As pg does for its promises: the stack of the caller says more than that of the socket.
      const inner = unwrapFailure(error);
      if (inner instanceof Error) Error.captureStackTrace(inner);
      throw error;
    } finally {
      this.#host.finished({ text, durationMs: performance.now() - since, server: connection.server, failed });
    }
  }

  /** Gives up a lane that nothing was sent on. */
  closeEmpty(): void {
    if (this.#queue.length === 0) this.#close();
  }

  /** Comes in the order of the statements: the connection's phase is about the first in the queue. */
  #answered(place: InFlight, error: Error | null | undefined): StatementFailure | undefined {
    const index = this.#queue.indexOf(place);
    // pg answers twice for values it could not send.
    if (index < 0) return undefined;
    this.#queue.splice(index, 1);
    if (this.#ended) place.phase = "unsent";
    else if (index === 0) place.phase = this.connection.phase;
    if (index === 0) {
      const now = performance.now();
      place.of.served(now - this.#headSince);
      this.#headSince = now;
      this.connection.phase = "sent";
    }
    const failure = error ? this.#failed(place, error) : undefined;
    if (this.#queue.length === 0) this.#close();
    return failure;
  }

  #failed({ statement, of, phase }: InFlight, error: Error): StatementFailure {
    const { server, brokenBy } = this.connection;
    const explained = explain(error, { server, phase, brokenBy });
    const verdict = classifyStatementError(explained, { phase }, statement);
    const secondary = this.#broken !== undefined;
    if (sqlStateOf(error)?.startsWith("57P")) this.#ended = true;
    const keeps = verdict.kind === "stale-plan" && of.renews;
    if ((verdict.evict && !keeps) || !this.connection.usable) this.#broken ??= error;
    return new StatementFailure(explained, verdict, secondary);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.pipelined = false;
    this.#emptied(this, this.#broken);
  }

  /** Gathers what is sent in this tick. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    const { connection } = this;
    connection.cork();
    process.nextTick(() => {
      this.#corked = false;
      connection.uncork();
    });
  }
}
