import { sqlStateOf } from "@db/core";
import type pg from "pg";
import { classifyError } from "./classify.ts";
import type { Connection } from "./connection.ts";
import { NoPrimaryError, TopologyRefusedError } from "./errors.ts";
import { StatementFailure } from "./failure.ts";
import { LeakWatch } from "./leak.ts";
import { Listener } from "./listener.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { outcomeResolver } from "./outcome.ts";
import type { PoolSignals } from "./pool-events.ts";
import type { Target } from "./routing.ts";
import { evidenceOf, type Job, Runner } from "./runner.ts";
import { Server } from "./server.ts";
import { listenToServers } from "./server-listener.ts";
import { SessionHandle, type StatementInput, type StatementOptions } from "./session-handle.ts";
import { newPoolCounters, type PoolCounters } from "./stats.ts";
import { Topology } from "./topology.ts";
import { beginStatements, commit, openTransaction, type Transaction, type TransactionOptions } from "./transaction.ts";

/** How one statement is routed, bounded and retried. */
export interface QueryOptions extends StatementOptions {
  /** Default `primary`. */
  readonly target?: Target;
  /** True when running the statement twice does no harm: it is then retried even after it may have run. */
  readonly idempotent?: boolean;
}

/** How a session is taken. */
export interface SessionOptions extends StatementOptions {
  /** Default `primary`. */
  readonly target?: Target;
}

/** What a caller adds to a job: which servers may serve it, and what to do before its connection goes back. */
export interface JobExtras {
  readonly mayUse?: (server: Server) => boolean;
  /** Runs on the connection that did the work, before it is lent again. */
  readonly afterward?: (connection: Connection, server: Server) => Promise<void>;
}

const noOptions: QueryOptions = Object.freeze({});

/** Everything behind the pool's face: servers, routing, sessions and transactions. */
export class Engine {
  readonly options: ResolvedPoolOptions;
  readonly topology: Topology;
  readonly leaks: LeakWatch;
  readonly counters: PoolCounters = newPoolCounters();
  readonly listener: Listener;
  readonly #runner: Runner;

  constructor(options: ResolvedPoolOptions, signals: PoolSignals) {
    this.options = options;
    this.leaks = new LeakWatch(options.leakThresholdMs, (leak) => {
      options.logger.warn({ ...leak }, "a connection is checked out for too long");
      signals.leak(leak);
    });
    const listener = listenToServers({
      options,
      counters: this.counters,
      leaks: this.leaks,
      signals,
      // Replicas replay what changed.
      schemaChanged: () => servers.forEach(({ executor }) => executor.schemaChanged()),
    });
    const servers: Server[] = options.servers.map((spec) => new Server(spec, options, listener));
    this.topology = new Topology(servers, options, {
      stateChanged: (change) => signals.stateChanged(change),
      failedOver: (failover) => {
        this.listener.moved();
        signals.failedOver(failover);
      },
    });
    this.listener = new Listener(this.topology, options);
    this.#runner = new Runner(this.topology, options, {
      retried: (of) => {
        this.counters.retries += 1;
        options.logger.debug({ ...of }, "trying again");
        signals.retried(of);
      },
    });
  }

  /** Runs one autocommit statement. */
  query(
    config: StatementInput,
    values: readonly unknown[] | undefined,
    options: QueryOptions = noOptions,
  ): Promise<pg.QueryResult> {
    this.#startProbing();
    const { target = "primary", idempotent = false, signal, timeoutMs = this.options.queryTimeoutMs } = options;
    const statement = { config, values, signal, timeoutMs };
    return this.#runner.run({ target, idempotent, signal, work: (server) => server.executor.execute(statement) });
  }

  /** Checks a connection out for application code, which gives it back by `release`. */
  async borrow(
    of: { readonly target: Target; readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined },
    stack: string | undefined,
  ): Promise<{ connection: Connection; server: Server }> {
    this.#startProbing();
    return await this.#runner.run({
      target: of.target,
      idempotent: true,
      signal: of.signal,
      work: async (server) => {
        const { signal, timeoutMs } = of;
        const connection = await server.connections.acquire({ borrowed: true, stack, signal, timeoutMs });
        return { connection, server };
      },
    });
  }

  /** Runs `use` on one connection and cleans up after it. Retried only while no connection could be had. */
  async withSession<T>(
    use: (session: SessionHandle, server: Server, connection: Connection) => Promise<T>,
    options: SessionOptions,
    stack: string | undefined,
  ): Promise<T> {
    const { target = "primary", signal, timeoutMs = this.options.queryTimeoutMs } = options;
    const { connection, server } = await this.borrow({ target, signal }, stack);
    const session = new SessionHandle(connection, server.statements, { timeoutMs, signal });
    try {
      return await use(session, server, connection);
    } finally {
      await session.end();
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
    this.#startProbing();
    const { mayUse = () => true } = extras;
    const { target = "primary", readOnly = false, retries } = options;
    using deadline = new Deadline(options.signal, options.timeoutMs);
    const { signal } = deadline;
    const job: Job<T> = {
      target,
      readOnly,
      idempotent: true,
      signal,
      retries,
      mayUse,
      work: async (server, attempt) => {
        const connection = await server.connections.acquire({ borrowed: true, stack, signal });
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
    if (evidence.length > 0) throw new TopologyRefusedError(evidence);
    if (!primary) throw new NoPrimaryError(evidenceOf(topology, options));
    const others = topology.servers.filter((server) => server !== primary && server.state === "up");
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

/** One signal out of a caller's and a bound. Disposed, it leaves no timer and no listener behind. */
class Deadline implements Disposable {
  readonly signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #detach: () => void = () => undefined;

  constructor(outer: AbortSignal | undefined, timeoutMs: number | undefined) {
    this.signal = outer;
    if (timeoutMs === undefined || !Number.isFinite(timeoutMs)) return;
    const controller = new AbortController();
    const relay = (): void => controller.abort(outer?.reason);
    if (outer?.aborted) relay();
    outer?.addEventListener("abort", relay, { once: true });
    this.#detach = () => outer?.removeEventListener("abort", relay);
    const reason = `the transaction took longer than ${timeoutMs} ms`;
    this.#timer = setTimeout(() => controller.abort(new DOMException(reason, "TimeoutError")), timeoutMs);
    this.signal = controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#detach();
  }
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
