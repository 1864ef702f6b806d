import { sqlStateOf } from "@db/core";
import type pg from "pg";
import { refusalOf } from "./call-options.ts";
import { classifyError } from "./classify.ts";
import type { Connection } from "./connection.ts";
import type { Consistency } from "./consistency.ts";
import { Deadline } from "./deadline.ts";
import { traceAcquire, traceQuery } from "./diagnostics.ts";
import { ConnectionReclaimedError, NoPrimaryError, TopologyRefusedError } from "./errors.ts";
import { StatementFailure } from "./failure.ts";
import { Gate } from "./gate.ts";
import { type LeakReport, LeakWatch } from "./leak.ts";
import { Listener } from "./listener.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { outcomeResolver } from "./outcome.ts";
import type { PoolSignals } from "./pool-events.ts";
import { ReadYourWrites } from "./read-your-writes.ts";
import type { Target } from "./routing.ts";
import { evidenceOf, type Job, Runner } from "./runner.ts";
import { Server } from "./server.ts";
import { listenToServers } from "./server-listener.ts";
import { OwnedSession, SessionHandle, type StatementInput, type StatementOptions } from "./session-handle.ts";
import { Annotator, type SqlTags } from "./sql-comment.ts";
import type { Statement } from "./statement.ts";
import { newPoolCounters, type PoolCounters } from "./stats.ts";
import { Topology } from "./topology.ts";
import {
  beginStatements,
  checkSettings,
  commit,
  openTransaction,
  settingsTransaction,
  type Transaction,
  type TransactionOptions,
} from "./transaction.ts";
import type { Priority } from "./wait-queue.ts";

/** How one statement is routed, bounded and retried. */
export interface QueryOptions extends StatementOptions {
  /** Default `primary`, or what `targetSessionAttrs` says. */
  readonly target?: Target;
  /** True when running the statement twice does no harm: it is then retried even after it may have run. */
  readonly idempotent?: boolean;
  /** What it sees where it reads on a replica. Default: the pool's `consistency`. */
  readonly consistency?: Consistency;
  /** Its place among those who wait for a connection. Default `normal`. */
  readonly priority?: Priority;
  /** Settings for this statement only, which then is a transaction of its own: `{ "app.tenant": "42" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Tags beside those of the pool; seen only where the statement is not prepared. */
  readonly tags?: SqlTags;
  /** False keeps the statement from being prepared. Default: the pool's `prepare`. */
  readonly prepare?: boolean;
}

/** How a session is taken. */
export interface SessionOptions extends StatementOptions {
  /** Default `primary`, or what `targetSessionAttrs` says. */
  readonly target?: Target;
  /** Its place among those who wait for a connection. Default `normal`. */
  readonly priority?: Priority;
}

/** How a connection is taken that application code gives back itself. */
export interface BorrowOptions {
  readonly target: Target;
  readonly signal?: AbortSignal | undefined;
  /** Replaces `acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly priority?: Priority | undefined;
}

type Afterward = (connection: Connection, server: Server) => Promise<void>;

/** What a caller adds to a job: which servers may serve it, and what to do before its connection goes back. */
export interface JobExtras {
  readonly mayUse?: (server: Server) => boolean;
  /** Runs on the connection that did the work, before it is lent again. */
  readonly afterward?: Afterward;
}

const noOptions: QueryOptions = Object.freeze({});

/** Everything behind the pool's face: servers, routing, sessions and transactions. */
export class Engine {
  readonly options: ResolvedPoolOptions;
  readonly topology: Topology;
  readonly leaks: LeakWatch;
  readonly counters: PoolCounters = newPoolCounters();
  readonly listener: Listener;
  readonly gate: Gate;
  /** The pool as one session, where its `consistency` is `session`. */
  readonly whole: ReadYourWrites | undefined;
  readonly #runner: Runner;
  readonly #annotator: Annotator;

  constructor(options: ResolvedPoolOptions, signals: PoolSignals) {
    this.options = options;
    this.gate = new Gate(options);
    this.#annotator = new Annotator(options.tags, options.prepare !== false);
    this.whole = options.consistency === "session" ? new ReadYourWrites(this, undefined) : undefined;
    const report = (leak: LeakReport): void => {
      options.logger.warn({ ...leak }, "a connection is checked out for too long");
      signals.leak(leak);
    };
    const reclaim = options.leakAction === "reclaim" ? (leaked: Connection) => this.#reclaim(leaked) : undefined;
    this.leaks = new LeakWatch(options.leakThresholdMs, report, reclaim);
    const listener = listenToServers({
      options,
      counters: this.counters,
      leaks: this.leaks,
      signals,
      gate: this.gate,
      // Replicas replay what changed.
      schemaChanged: () => this.topology.servers.forEach(({ executor }) => executor.schemaChanged()),
    });
    this.topology = new Topology((spec) => new Server(spec, options, listener), options, {
      membersChanged: (change) => signals.membersChanged(change),
      stateChanged: (change) => {
        if (change.to === "down") this.listener.left(change.server);
        signals.stateChanged(change);
      },
      failedOver: (failover) => {
        this.listener.moved();
        signals.failedOver(failover);
      },
    });
    this.listener = new Listener(this.topology, options);
    this.#runner = new Runner(this.topology, options, this.gate, {
      retried: (of) => {
        this.counters.retries += 1;
        options.logger.debug({ ...of }, "trying again");
        signals.retried(of);
      },
    });
  }

  /** Runs one autocommit statement, as consistent as it asks. */
  query(
    config: StatementInput,
    values: readonly unknown[] | undefined,
    options: QueryOptions = noOptions,
  ): Promise<pg.QueryResult> {
    const refusal = options === noOptions ? undefined : refusalOf(options);
    if (refusal) return Promise.reject(refusal);
    const { consistency = this.options.consistency } = options;
    if (consistency === "eventual" && !this.whole) return this.plainQuery(config, values, options);
    if (this.whole) return this.whole.query(config, values, { ...options, consistency });
    // Nobody kept count of what was written before, so everything there is counts.
    const { target = this.options.route.target } = options;
    if (target === "primary") return this.plainQuery(config, values, options);
    return new ReadYourWrites(this, undefined).query(config, values, { ...options, consistency: "strong" });
  }

  /** Runs one autocommit statement on whichever server is fit. */
  plainQuery(
    config: StatementInput,
    values: readonly unknown[] | undefined,
    options: QueryOptions,
    afterward?: Afterward,
  ): Promise<pg.QueryResult> {
    this.#startProbing();
    if (options.settings) return this.#queryWithSettings(config, values, options);
    const {
      target = this.options.route.target,
      idempotent = false,
      signal,
      timeoutMs = this.options.queryTimeoutMs,
      priority,
      prepare,
    } = options;
    const statement = this.annotated({ config, values, signal, timeoutMs, priority, prepare }, options);
    return traceQuery(statement, target, () =>
      this.#runner.run({
        target,
        idempotent,
        signal,
        work: (server) =>
          server.executor.execute(statement, afterward && ((connection) => afterward(connection, server))),
      }),
    );
  }

  /** A statement with the tags of the pool and its own. */
  annotated(statement: Statement, own: QueryOptions): Statement {
    return this.#annotator.annotate(statement, own);
  }

  /** The transaction one statement with settings is run in. */
  async #queryWithSettings(
    config: StatementInput,
    values: readonly unknown[] | undefined,
    options: QueryOptions,
  ): Promise<pg.QueryResult> {
    const { signal, timeoutMs } = options;
    const transaction = settingsTransaction(options, this.options.route.target);
    const run = (tx: Transaction): Promise<pg.QueryResult> => tx.query(config, values, { signal, timeoutMs });
    return await this.withTransaction(run, transaction, undefined);
  }

  /** Runs a transaction as consistent as it asks. */
  transaction<T>(
    use: (tx: Transaction) => Promise<T>,
    options: TransactionOptions,
    stack: string | undefined,
  ): Promise<T> {
    const { consistency = this.options.consistency, target = this.options.route.target } = options;
    const onReplica = consistency !== "eventual" && options.readOnly === true && target !== "primary";
    const tracked = this.whole ?? (onReplica ? new ReadYourWrites(this, undefined) : undefined);
    if (!tracked) return this.withTransaction(use, options, stack);
    return tracked.withTransaction(use, { ...options, consistency: this.whole ? consistency : "strong" }, stack);
  }

  /** Runs a session, and keeps count of what it wrote where the pool does. */
  session<T>(
    use: (session: SessionHandle) => Promise<T>,
    options: SessionOptions,
    stack: string | undefined,
  ): Promise<T> {
    const { whole } = this;
    const learn: Afterward | undefined = whole && ((connection, server) => whole.learn(connection, server));
    return this.withSession(use, options, stack, learn);
  }

  /** Checks a connection out for application code, which gives it back by `release`. */
  async borrow(
    { target, signal, timeoutMs, priority }: BorrowOptions,
    stack: string | undefined,
  ): Promise<{ connection: Connection; server: Server }> {
    const refusal = refusalOf({ target, timeoutMs, priority });
    if (refusal) throw refusal;
    this.#startProbing();
    return await this.#runner.run({
      target,
      idempotent: true,
      signal,
      work: async (server) => {
        const request = { borrowed: true, stack, signal, timeoutMs, priority };
        const connection = await traceAcquire(server.name, () => server.connections.acquire(request));
        return { connection, server };
      },
    });
  }

  /** Takes a session that is given back when it is disposed. */
  async openSession(options: SessionOptions, stack: string | undefined): Promise<OwnedSession> {
    const refusal = refusalOf(options);
    if (refusal) throw refusal;
    const { target = this.options.route.target, signal, timeoutMs = this.options.queryTimeoutMs, priority } = options;
    const { connection, server } = await this.borrow({ target, signal, priority }, stack);
    return new OwnedSession(connection, server.statements, { timeoutMs, signal }, async (session) => {
      if (connection.usable && !session.broken) await this.whole?.learn(connection, server);
      await this.#giveBack(server, connection, session);
    });
  }

  /** Runs `use` on one connection and cleans up after it. Retried only while no connection could be had. */
  async withSession<T>(
    use: (session: SessionHandle) => Promise<T>,
    options: SessionOptions,
    stack: string | undefined,
    afterward?: Afterward,
  ): Promise<T> {
    const refusal = refusalOf(options);
    if (refusal) throw refusal;
    const { target = this.options.route.target, signal, timeoutMs = this.options.queryTimeoutMs, priority } = options;
    const { connection, server } = await this.borrow({ target, signal, priority }, stack);
    const session = new SessionHandle(connection, server.statements, { timeoutMs, signal });
    try {
      return await use(session);
    } finally {
      await session.end();
      await afterward?.(connection, server);
      await this.#giveBack(server, connection, session);
    }
  }

  /** Runs `use` in a transaction, again from the start where nothing can have been committed. */
  async withTransaction<T>(
    use: (tx: Transaction) => Promise<T>,
    options: TransactionOptions,
    stack: string | undefined,
    extras: JobExtras = {},
  ): Promise<T> {
    const refusal = refusalOf(options);
    if (refusal) throw refusal;
    this.#startProbing();
    const { mayUse = () => true } = extras;
    const { target = this.options.route.target, readOnly = false, retries, priority } = options;
    checkSettings(options.settings ?? {});
    using deadline = new Deadline("the transaction", options);
    const { signal } = deadline;
    const job: Job<T> = {
      target,
      readOnly,
      idempotent: true,
      signal,
      retries,
      mayUse,
      work: async (server, attempt) => {
        const request = { borrowed: true, stack, signal, priority };
        const connection = await traceAcquire(server.name, () => server.connections.acquire(request));
        const session = new SessionHandle(connection, server.statements, {
          timeoutMs: this.options.queryTimeoutMs,
          signal,
        });
        return await this.#transact(use, options, { server, connection, session, attempt }, extras);
      },
    };
    return await this.#runner.run(job);
  }

  /** Runs a job of another kind, for sessions that read their own writes. */
  run<T>(job: Job<T>): Promise<T> {
    this.#startProbing();
    return this.#runner.run(job);
  }

  /**
   * Probes every server, opens a connection to the primary and `min` on each server that is up.
   * @throws {TopologyRefusedError} when the servers do not belong together
   * @throws {NoPrimaryError} when none of several accepts writes; with one server, why connecting to it failed
   */
  async start(): Promise<void> {
    const { topology, options } = this;
    await topology.start();
    const { primary } = topology;
    const evidence = topology.election.refusals.map(({ server, seen }) => ({ server, seen }));
    if (!primary) {
      const asleep = topology.servers.filter(
        ({ spec, role }) => spec.configuredRole === "primary" && role === "standby",
      );
      evidence.push(...asleep.map(({ name }) => ({ server: name, seen: "configured as primary, is in recovery" })));
    }
    if (evidence.length > 0 && (primary || options.route.target === "primary"))
      throw new TopologyRefusedError(evidence);
    // A pool for standbys alone needs no primary, only somebody to read from.
    const others = topology.servers.filter((server) => server !== primary && server.state === "up");
    if (!primary && options.route.target !== "primary" && others.length > 0) {
      await Promise.all(others.map(({ connections }) => connections.warmUp(options.min)));
      return;
    }
    if (!primary) throw new NoPrimaryError(evidenceOf(topology, options));
    await Promise.all([
      primary.connections.warmUp(Math.max(1, options.min)),
      ...others.map(({ connections }) => connections.warmUp(options.min)),
    ]);
  }

  async #transact<T>(
    use: (tx: Transaction) => Promise<T>,
    options: TransactionOptions,
    of: { server: Server; connection: Connection; session: SessionHandle; attempt: number },
    extras: JobExtras,
  ): Promise<T> {
    const { server, connection, session, attempt } = of;
    let open = false;
    try {
      for (const statement of beginStatements(options)) await session.query(statement);
      open = true;
      const result = await use(openTransaction(session, attempt));
      const { failoverTimeoutMs } = this.options;
      const patienceMs = failoverTimeoutMs === false ? 5_000 : Math.min(failoverTimeoutMs, 30_000);
      const resolve = options.resolveOutcome ? outcomeResolver(server, this.options.clock, patienceMs) : undefined;
      await commit(session, connection, resolve);
      open = false;
      await extras.afterward?.(connection, server);
      return result;
    } catch (error) {
      if (open && connection.usable) {
        await session
          .run({ config: "rollback", values: undefined, signal: undefined, timeoutMs: this.options.cancelTimeoutMs })
          .catch(() => connection.destroySocket());
      }
      if (error instanceof StatementFailure) throw error;
      // Rolled back, or gone with the connection: whatever broke it, nothing of this attempt was committed.
      const verdict = classifyError(session.broken?.error ?? driverErrorIn(error), { phase: "unsent" });
      throw new StatementFailure(error, verdict);
    } finally {
      await session.end();
      server.connections.release(connection, session.broken ? asError(session.broken.error) : undefined);
    }
  }

  /** Resolves when nothing runs and nobody waits, or with false after `timeoutMs`. */
  quiet(timeoutMs: number): Promise<boolean> {
    const isQuiet = (): boolean =>
      this.topology.servers.every(({ connections }) => connections.checkedOut === 0 && connections.waiting === 0);
    return this.gate.quiet(isQuiet, timeoutMs);
  }

  #reclaim(connection: Connection): void {
    const { checkout } = connection;
    connection.brokenBy = new ConnectionReclaimedError({ heldMs: performance.now() - (checkout?.since ?? 0) });
    connection.destroySocket();
    const server = this.topology.servers.find(({ name }) => name === connection.server);
    server?.connections.destroy(connection);
  }

  /** Undoes what a session set, locked, prepared or listens to, so that the next borrower finds none of it. */
  async #giveBack(server: Server, connection: Connection, session: SessionHandle): Promise<void> {
    const { broken } = session;
    if (broken || !connection.usable) {
      server.connections.release(connection, broken ? asError(broken.error) : true);
      return;
    }
    const timer = setTimeout(() => connection.destroySocket(), this.options.cancelTimeoutMs);
    try {
      if (connection.inTransaction) {
        this.counters.leftOpen += 1;
        await connection.client.query("rollback");
      }
      await connection.client.query("discard all");
      connection.statements.forgetAll();
      await this.options.pg.onConnect?.(connection.client);
      server.connections.release(connection);
    } catch (error) {
      server.connections.release(connection, asError(error));
    } finally {
      clearTimeout(timer);
    }
  }

  /** With several servers the first statement waits for the first probes; with one they need not delay anything. */
  #startProbing(): void {
    const { topology } = this;
    if (topology.started || this.#probingSoon || !topology.only) return;
    const { probeIntervalMs } = this.options;
    if (probeIntervalMs === false) return;
    this.#probingSoon = true;
    // A process that is done sooner never opens the probe's connection.
    setTimeout(() => topology.begin(), probeIntervalMs).unref();
  }
  #probingSoon = false;
}

/** Query builders wrap the driver's error; what may be retried depends on the one inside. */
function driverErrorIn(error: unknown): unknown {
  let inner = error;
  for (let depth = 0; depth < 5 && inner instanceof Error; depth += 1) {
    if (sqlStateOf(inner) !== undefined) return inner;
    inner = inner.cause;
  }
  return error;
}

function asError(error: unknown): Error | true {
  return error instanceof Error ? error : true;
}
