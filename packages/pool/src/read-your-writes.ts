import { type Database, formatLsn, parseLsn } from "@db/core";
import type pg from "pg";
import { refusalOf } from "./call-options.ts";
import { classifyError } from "./classify.ts";
import type { Connection } from "./connection.ts";
import type { Consistency } from "./consistency.ts";
import type { Engine, QueryOptions } from "./engine.ts";
import { NoPrimaryError, NoReplicaError } from "./errors.ts";
import { type Target, unfitness } from "./routing.ts";
import { evidenceOf } from "./runner.ts";
import type { Server } from "./server.ts";
import type { SessionHandle, StatementInput } from "./session-handle.ts";
import { beyondEveryReplica, type SessionToken } from "./session-token.ts";
import { runStatement, type Statement } from "./statement.ts";
import { settingsTransaction, type Transaction, type TransactionOptions } from "./transaction.ts";

// The insert position, not the flush position: with synchronous_commit off a commit is not flushed yet.
const positionSql = /* sql */ `select pg_catalog.pg_current_wal_insert_lsn()::text as lsn`;
const replayedSql = /* sql */ `select pg_catalog.pg_last_wal_replay_lsn()::text as lsn`;

/**
 * A stream of work that always sees its own writes. Reads meant for a replica go to one that has replayed what the
 * session wrote, and to the primary while none has. Where positions cannot be known (no WAL functions, a write whose
 * answer was lost), everything goes to the primary: never a stale read, at worst a busier primary.
 *
 * Each write costs one more round trip, to learn its position.
 */
export class ReadYourWrites implements Database {
  readonly #engine: Engine;
  #token: SessionToken | undefined;
  /** Clients application code holds: they may have committed anything. */
  #held = 0;

  constructor(engine: Engine, token: SessionToken | undefined) {
    this.#engine = engine;
    this.#token = token;
  }

  /** What a later session must see; undefined before the first write. */
  get token(): SessionToken | undefined {
    return this.#token;
  }

  /**
   * Default target `primary`. With `replica` or `any`, any server that has this session's writes; with `consistency`
   * `eventual` whichever replica is fit, with `strong` one that has everything committed before the read began.
   */
  async query<Row extends object = Record<string, unknown>>(
    config: StatementInput,
    values?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    const refusal = refusalOf(options);
    if (refusal) throw refusal;
    const { route, queryTimeoutMs } = this.#engine.options;
    const { target = route.target, idempotent = false, consistency = "session", signal } = options;
    if (options.settings) {
      const { signal: stop, timeoutMs: bound } = options;
      const run = (tx: Transaction): Promise<pg.QueryResult> =>
        tx.query(config, values, { signal: stop, timeoutMs: bound });
      return (await this.withTransaction(run, settingsTransaction(options, route.target))) as pg.QueryResult<Row>;
    }
    if (consistency === "eventual") {
      const result = this.#engine.plainQuery(config, values, options, (connection, server) =>
        this.learn(connection, server),
      );
      return (await result) as pg.QueryResult<Row>;
    }
    const { timeoutMs = queryTimeoutMs, priority, prepare } = options;
    const plain: Statement = { config, values, signal, timeoutMs, priority, prepare };
    const statement = this.#engine.annotated(plain, options);
    const result =
      target === "primary" ? this.#write(statement, idempotent) : this.#read(statement, consistency, target);
    return (await result) as pg.QueryResult<Row>;
  }

  /** With `readOnly` and target `replica`, on a server that has this session's writes. */
  async withTransaction<T>(
    use: (tx: Transaction) => Promise<T>,
    options: TransactionOptions = {},
    stack: string | undefined = this.#engine.leaks.captureStack(),
  ): Promise<T> {
    const { consistency = "session" } = options;
    if (options.readOnly && options.target !== undefined && options.target !== "primary") {
      if (consistency === "eventual") return await this.#engine.withTransaction(use, options, stack);
      const servers = await this.#caughtUp(await this.#wanted(consistency));
      const target = servers.length > 0 ? "replica" : "primary";
      const mayUse = (server: Server): boolean => servers.includes(server);
      return await this.#engine.withTransaction(use, { ...options, target }, stack, { mayUse });
    }
    const afterward = (connection: Connection, server: Server): Promise<void> => this.learn(connection, server);
    try {
      return await this.#engine.withTransaction(use, options, stack, { afterward });
    } catch (error) {
      this.#doubt(error);
      throw error;
    }
  }

  withSession<T>(use: (session: SessionHandle) => Promise<T>): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    const afterward = (connection: Connection, server: Server): Promise<void> => this.learn(connection, server);
    return this.#engine.withSession(use, {}, stack, afterward);
  }

  /**
   * Notes that application code holds a client: until what is returned is called, only the primary is sure to have
   * what it may commit.
   */
  hold(): (connection: Connection, server: Server) => Promise<void> {
    this.#held += 1;
    return async (connection, server) => {
      try {
        await this.learn(connection, server);
      } finally {
        this.#held -= 1;
      }
    };
  }

  /** Takes the position after a write from the connection that made it. */
  async learn(connection: Connection, server: Server): Promise<void> {
    // A standby wrote nothing.
    if (server.role === "standby") return;
    const { systemIdentifier, timeline } = this.#engine.topology.election;
    try {
      if (!connection.usable || connection.inTransaction) throw new Error("its position cannot be asked for");
      const { rows } = await connection.client.query<{ lsn: string }>(positionSql);
      if (systemIdentifier === undefined || timeline === undefined || server.observation?.timeline !== timeline) {
        this.#onlyPrimary();
        return;
      }
      const lsn = parseLsn(rows[0]!.lsn);
      const before = this.#token;
      const known = before?.timeline === timeline && before.lsn !== beyondEveryReplica ? parseLsn(before.lsn) : 0n;
      this.#token = { systemIdentifier, timeline, lsn: formatLsn(lsn > known ? lsn : known) };
    } catch {
      // The write took effect; only its position is not known.
      this.#onlyPrimary();
    }
  }

  /** A write whose outcome nobody knows may yet be there. */
  #doubt(error: unknown): void {
    const { kind, retry } = classifyError(error);
    if (kind === "unknown-outcome" || (kind === "connection" && retry !== "always")) this.#onlyPrimary();
  }

  #onlyPrimary(): void {
    const { systemIdentifier = "0", timeline = 0 } = this.#engine.topology.election;
    this.#token = { systemIdentifier, timeline, lsn: beyondEveryReplica };
  }

  async #write(statement: Statement, idempotent: boolean): Promise<pg.QueryResult> {
    try {
      return await this.#engine.run({
        target: "primary",
        idempotent,
        signal: statement.signal,
        work: (server) => server.executor.execute(statement, (connection) => this.learn(connection, server)),
      });
    } catch (error) {
      this.#doubt(error);
      throw error;
    }
  }

  async #read(statement: Statement, consistency: Consistency, target: Target): Promise<pg.QueryResult> {
    const wanted = await this.#wanted(consistency);
    const candidates = this.#candidates(wanted);
    const fresh = wanted ? candidates.filter((server) => server.hasReplayed(wanted)) : candidates;
    if (fresh.length > 0) return await this.#readOn(fresh, statement, target);
    if (wanted) {
      for (const server of candidates) {
        const result = await this.#readIfCaughtUp(server, wanted, statement);
        if (result) return result;
      }
    }
    return await this.#readOn([], statement, target);
  }

  /** What a replica must have replayed; undefined when it need not have anything. */
  async #wanted(consistency: Consistency): Promise<SessionToken | undefined> {
    const { topology } = this.#engine;
    await topology.start();
    if (consistency !== "strong") {
      if (this.#token) await this.#follow(this.#token);
      return this.#token;
    }
    const { systemIdentifier = "0", timeline = 0 } = topology.election;
    const statement: Statement = { config: positionSql, values: undefined, signal: undefined, timeoutMs: false };
    try {
      const { rows } = await this.#engine.run({
        target: "primary",
        idempotent: true,
        signal: undefined,
        work: (server) => server.executor.execute(statement),
      });
      return { systemIdentifier, timeline, lsn: (rows[0] as { lsn: string }).lsn };
    } catch (error) {
      // Servers that hide their WAL cannot say; the primary itself can be read.
      if (classifyError(error).retry !== "never") throw error;
      return { systemIdentifier, timeline, lsn: beyondEveryReplica };
    }
  }

  /** A token from a later timeline tells of a failover this process has not seen yet: it must, before it reads. */
  async #follow(token: SessionToken): Promise<void> {
    const { topology, options } = this.#engine;
    const behind = (): boolean => {
      const { systemIdentifier, timeline } = topology.election;
      return systemIdentifier === token.systemIdentifier && timeline !== undefined && timeline < token.timeline;
    };
    const patienceMs = options.failoverTimeoutMs === false ? 0 : options.failoverTimeoutMs;
    const deadline = options.clock.now() + patienceMs;
    while (behind()) {
      await topology.recheck();
      if (!behind()) return;
      if (options.clock.now() >= deadline) {
        throw new NoPrimaryError([
          ...evidenceOf(topology, options),
          { server: "the session's token", seen: `was made on timeline ${token.timeline}` },
        ]);
      }
      await options.clock.sleep(options.probeIntervalMs === false ? 100 : options.probeIntervalMs);
    }
  }

  /** Replicas whose position can be compared with what is wanted, the least busy first. */
  #candidates(wanted: SessionToken | undefined): Server[] {
    const { topology, options } = this.#engine;
    if (this.#held > 0 || wanted?.lsn === beyondEveryReplica) return [];
    const { systemIdentifier, timeline } = topology.election;
    // What survived of an earlier timeline lies before the point where this one began.
    const comparable = !wanted || (wanted.systemIdentifier === systemIdentifier && wanted.timeline <= (timeline ?? -1));
    if (!comparable) return [];
    const onBranch = (server: Server): boolean => !wanted || server.observation?.timeline === timeline;
    const fit = topology.servers.filter(
      (server) => server !== topology.primary && !unfitness(server, options) && onBranch(server),
    );
    return fit.sort((a, b) => a.inFlight - b.inFlight);
  }

  /** The candidates that have it; those whose last known position is too old are asked. */
  async #caughtUp(wanted: SessionToken | undefined): Promise<Server[]> {
    const candidates = this.#candidates(wanted);
    if (!wanted) return candidates;
    const statement: Statement = { config: replayedSql, values: undefined, signal: undefined, timeoutMs: false };
    await Promise.all(
      candidates.map(async (server) => {
        if (server.hasReplayed(wanted)) return;
        const answer = await server.executor.execute(statement).catch(() => undefined);
        const lsn = (answer?.rows[0] as { lsn: string | null } | undefined)?.lsn;
        if (lsn) server.replayedTo(lsn);
      }),
    );
    return candidates.filter((server) => server.hasReplayed(wanted));
  }

  /** Reads on one of these, or on the primary when they fail or there are none. */
  #readOn(servers: readonly Server[], statement: Statement, target: Target): Promise<pg.QueryResult> {
    const { topology, options } = this.#engine;
    // Whoever is content with any server is with the primary.
    if (servers.length === 0 && target === "replica" && options.replicaFallback === "error") {
      const evidence = evidenceOf(topology, options).map(({ server, seen }) => ({
        server,
        seen: server === topology.primary?.name ? seen : `${seen}, not seen to have what must be read`,
      }));
      return Promise.reject(new NoReplicaError(evidence));
    }
    return this.#engine.run({
      target: servers.length > 0 ? "replica" : "primary",
      idempotent: true,
      signal: statement.signal,
      mayUse: (server) => servers.includes(server),
      work: (server) => server.executor.execute(statement),
    });
  }

  /** Asks a replica on the very connection the read would use, and reads if it has what is wanted. */
  async #readIfCaughtUp(
    server: Server,
    wanted: SessionToken,
    statement: Statement,
  ): Promise<pg.QueryResult | undefined> {
    let connection: Connection | undefined;
    try {
      const { signal, priority } = statement;
      connection = await server.connections.acquire({ borrowed: false, signal, priority });
      const { rows } = await connection.client.query<{ lsn: string | null }>(replayedSql);
      const { lsn } = rows[0]!;
      if (lsn !== null) server.replayedTo(lsn);
      const caughtUp = lsn !== null && parseLsn(lsn) >= parseLsn(wanted.lsn);
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
}
