import { type Database, formatLsn, parseLsn } from "@db/core";
import type pg from "pg";
import { classifyError } from "./classify.ts";
import type { Connection } from "./connection.ts";
import type { Engine, QueryOptions } from "./engine.ts";
import { unfitness } from "./routing.ts";
import type { Server } from "./server.ts";
import type { SessionHandle, StatementInput } from "./session-handle.ts";
import { runStatement, type Statement } from "./statement.ts";
import type { Transaction, TransactionOptions } from "./transaction.ts";

/** How far the writes of a session reach. Plain data: pass it on with a cookie, a header, a message. */
export interface SessionToken {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** "0/3000060" */
  readonly lsn: string;
}

// The insert position, not the flush position: with synchronous_commit off a commit is not flushed yet.
const positionSql = /* sql */ `select pg_catalog.pg_current_wal_insert_lsn()::text as lsn`;
const replayedSql = /* sql */ `select pg_catalog.pg_last_wal_replay_lsn()::text as lsn`;

/**
 * A stream of work that always sees its own writes. Reads meant for a replica go to one that has replayed what the
 * session wrote, and to the primary while none has. Where positions cannot be known (no WAL functions, a failover
 * since), everything goes to the primary: never a stale read, at worst a busier primary.
 *
 * Each write costs one more round trip, to learn its position.
 */
export class ReadYourWrites implements Database {
  readonly #engine: Engine;
  #token: SessionToken | undefined;
  /** Set when a write's position could not be learned: from then on only the primary is sure to have it. */
  #primaryOnly = false;

  constructor(engine: Engine, token: SessionToken | undefined) {
    this.#engine = engine;
    this.#token = token;
  }

  /** What a later session must see; undefined before the first write, or when only the primary can tell. */
  get token(): SessionToken | undefined {
    return this.#primaryOnly ? undefined : this.#token;
  }

  /** Default target `primary`. With `replica`, any server that has this session's writes. */
  async query<Row extends object = Record<string, unknown>>(
    config: StatementInput,
    values?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    const { target = "primary", idempotent = false, signal, timeoutMs = this.#engine.options.queryTimeoutMs } = options;
    const statement: Statement = { config, values, signal, timeoutMs };
    const result = target === "primary" ? this.#write(statement, idempotent) : this.#read(statement);
    return (await result) as pg.QueryResult<Row>;
  }

  withTransaction<T>(
    use: (tx: Transaction) => Promise<T>,
    options: Omit<TransactionOptions, "target"> = {},
  ): Promise<T> {
    const afterward = (connection: Connection, server: Server): Promise<void> => this.#learn(connection, server);
    return this.#engine.withTransaction(use, options, this.#engine.leaks.captureStack(), { afterward });
  }

  withSession<T>(use: (session: SessionHandle) => Promise<T>): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    return this.#engine.withSession(
      async (session, server, connection) => {
        try {
          return await use(session);
        } finally {
          await session.end();
          if (connection.usable) await this.#learn(connection, server);
          else this.#primaryOnly = true;
        }
      },
      {},
      stack,
    );
  }

  #write(statement: Statement, idempotent: boolean): Promise<pg.QueryResult> {
    return this.#engine.run({
      target: "primary",
      idempotent,
      signal: statement.signal,
      work: (server) => server.executor.execute(statement, (connection) => this.#learn(connection, server)),
    });
  }

  async #read(statement: Statement): Promise<pg.QueryResult> {
    const { topology } = this.#engine;
    await topology.start();
    const token = this.#primaryOnly ? undefined : this.#token;
    const comparable = !this.#primaryOnly && (token === undefined || this.#isCurrent(token));
    const candidates = comparable ? this.#standbys() : [];
    const fresh = candidates.filter((server) => token === undefined || server.hasReplayed(token));
    if (fresh.length > 0) return await this.#readOn(fresh, statement);
    if (token) {
      for (const server of candidates) {
        const result = await this.#readIfCaughtUp(server, token, statement);
        if (result) return result;
      }
    }
    return await this.#readOn([], statement);
  }

  /** Reads on one of these, or on the primary when they fail or there are none. */
  #readOn(servers: readonly Server[], statement: Statement): Promise<pg.QueryResult> {
    return this.#engine.run({
      target: servers.length > 0 ? "replica" : "primary",
      idempotent: true,
      signal: statement.signal,
      mayUse: (server) => servers.includes(server),
      work: (server) => server.executor.execute(statement),
    });
  }

  /** Asks a replica on the very connection the read would use, and reads if it has the session's writes. */
  async #readIfCaughtUp(
    server: Server,
    token: SessionToken,
    statement: Statement,
  ): Promise<pg.QueryResult | undefined> {
    let connection: Connection | undefined;
    try {
      connection = await server.connections.acquire({ borrowed: false, signal: statement.signal });
      const { rows } = await connection.client.query<{ lsn: string | null }>(replayedSql);
      const { lsn } = rows[0]!;
      if (lsn !== null) server.replayedTo(lsn);
      const caughtUp = lsn !== null && parseLsn(lsn) >= parseLsn(token.lsn);
      const result = caughtUp ? await runStatement(connection, statement, server.statements) : undefined;
      server.connections.release(connection);
      return result;
    } catch (error) {
      const verdict = classifyError(error);
      if (connection) server.connections.release(connection, verdict.evict ? (error as Error) : undefined);
      if (verdict.retry === "never") throw error;
      return undefined;
    }
  }

  #standbys(): Server[] {
    const { topology, options } = this.#engine;
    const fit = topology.servers.filter((server) => server !== topology.primary && !unfitness(server, options));
    return fit.sort((a, b) => a.inFlight - b.inFlight);
  }

  #isCurrent({ systemIdentifier, timeline }: SessionToken): boolean {
    const { election } = this.#engine.topology;
    return election.systemIdentifier === systemIdentifier && election.timeline === timeline;
  }

  /** Takes the position after a write from the connection that made it. */
  async #learn(connection: Connection, server: Server): Promise<void> {
    const { systemIdentifier, timeline } = this.#engine.topology.election;
    try {
      const { rows } = await connection.client.query<{ lsn: string }>(positionSql);
      if (systemIdentifier === undefined || timeline === undefined || server.observation?.timeline !== timeline) {
        this.#primaryOnly = true;
        return;
      }
      const lsn = parseLsn(rows[0]!.lsn);
      const before = this.#token?.timeline === timeline ? parseLsn(this.#token.lsn) : 0n;
      this.#token = { systemIdentifier, timeline, lsn: formatLsn(lsn > before ? lsn : before) };
      this.#primaryOnly = false;
    } catch {
      // The write took effect; only its position is not known.
      this.#primaryOnly = true;
    }
  }
}
