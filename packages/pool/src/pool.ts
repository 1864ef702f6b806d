import { inspect } from "node:util";
import type { Database, Service, ServiceHealth } from "@db/core";
import { Pool as PgPool } from "pg";
import type pg from "pg";
import { BorrowedClient } from "./borrowed-client.ts";
import { answer } from "./callback.ts";
import { drainPool, type DrainReport } from "./drain.ts";
import { Engine, type QueryOptions, type SessionOptions } from "./engine.ts";
import { DoubleReleaseError, InvalidPoolOptionsError, PoolClosedError } from "./errors.ts";
import { judgePool } from "./health.ts";
import type { LeakReport } from "./leak.ts";
import type { ListenOptions, PoolNotification } from "./listener.ts";
import { type PoolConfig, type PoolOptions, resolvePoolOptions } from "./options.ts";
import { emitSignals, type PoolEventMap } from "./pool-events.ts";
import { ReadYourWrites } from "./read-your-writes.ts";
import { checkSessionToken, decodeSessionToken, type SessionToken } from "./session-token.ts";
import type { Target } from "./routing.ts";
import type { Server } from "./server.ts";
import type { OwnedSession, SessionHandle, StatementInput } from "./session-handle.ts";
import { type StreamOptions, streamRows } from "./stream.ts";
import { gatherStats, type PoolStats } from "./stats.ts";
import type { Transaction, TransactionOptions } from "./transaction.ts";
import { PoolView } from "./view.ts";
import type { Priority } from "./wait-queue.ts";
import { insertMany, type BulkInsert } from "./bulk.ts";
import { registerClient } from "./checkout-registry.ts";
import type { Connection } from "./connection.ts";
import { copyFrom, type CopySource, copyTo } from "./copy.ts";

/** How a client is checked out. */
export interface AcquireOptions {
  /** Default `primary`. */
  readonly target?: Target;
  readonly signal?: AbortSignal;
  /** Replaces `acquireTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Its place among those who wait. Default `normal`. */
  readonly priority?: Priority;
}

type QueryCallback = (error: Error | undefined, result: pg.QueryResult | undefined) => void;
type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/**
 * A `pg.Pool` for one primary and its replicas: everything that takes a `pg.Pool` takes this one. It routes, fails
 * over, retries what is safe, cancels on the server, reports leaks, and keeps a connection whose statement failed.
 *
 * Nothing is opened before the first use or `start()`.
 */
export class Pool extends PgPool implements Database, Service {
  readonly name = "pool";
  /** Sends everything to the primary: what the pool itself does by default. */
  readonly primary: PoolView;
  /** Sends everything to a replica that is fit, by lag and load; transactions there are read-only. */
  readonly replica: PoolView;
  readonly #engine: Engine;
  /** pg's `pipeline: true`, whose meaning is that of its clients. */
  readonly #lendsPipelined: boolean;
  #drain: Promise<DrainReport> | undefined;

  /** @throws {InvalidPoolOptionsError} with every contradiction in the options */
  constructor(config: PoolConfig = {}, Client?: typeof pg.Client) {
    const options = resolvePoolOptions(Client ? { Client: Client as never, ...config } : config);
    super(facadeOptions(config, options));
    this.#lendsPipelined = config.pipeline === true && config.primaryUrl === undefined;
    this.#engine = new Engine(options, emitSignals(this));
    this.primary = new PoolView(this.#engine, "primary");
    this.replica = new PoolView(this.#engine, "replica");
    this.#countFrom(this.#engine.topology);
  }

  /* pg's own call forms, with pg's own types, which are built on `any`. */
  /* oxlint-disable typescript/no-explicit-any */
  override query<T extends pg.Submittable>(submittable: T): T;
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I>,
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryArrayResult<R>>;
  override query<R extends pg.QueryResultRow = any, I = any[]>(config: pg.QueryConfig<I>): Promise<pg.QueryResult<R>>;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | pg.QueryConfig<I>,
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryResult<R>>;
  /**
   * Runs one statement.
   * @throws the server's error unchanged, {@link AcquireTimeoutError}, {@link QueryTimeoutError},
   * {@link ConnectionLostError}, {@link NoPrimaryError}, {@link CircuitOpenError}, or core's `AbortedError`
   */
  override query<R extends object = any>(
    textOrConfig: StatementInput,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<pg.QueryResult<R>>;
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I>,
    callback: (error: Error, result: pg.QueryArrayResult<R>) => void,
  ): void;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | pg.QueryConfig<I>,
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    text: string,
    values: pg.QueryConfigValues<I>,
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  override query(first: any, second?: any, third?: any): any {
    /* oxlint-enable typescript/no-explicit-any */
    if (typeof first === "string" && typeof second !== "function" && typeof third !== "function") {
      return this.#engine.query(first, second, third);
    }
    const callback = [first, second, third].find((each) => typeof each === "function") as QueryCallback | undefined;
    const result = this.#query(first, typeof second === "function" ? undefined : second, callback ? undefined : third);
    if (!callback) return result;
    void answer(result, callback);
    return undefined;
  }

  override connect(options?: AcquireOptions): Promise<pg.PoolClient & Disposable>;
  override connect(callback: ConnectCallback): void;
  /**
   * Checks a client out; give it back by `client.release()`. Prefer `withSession` and `withTransaction`, which cannot
   * forget to.
   */
  override connect(first?: AcquireOptions | ConnectCallback): Promise<pg.PoolClient & Disposable> | undefined {
    const stack = this.#engine.leaks.captureStack();
    if (typeof first !== "function") return this.#connect(first ?? {}, stack);
    void answer(this.#connect({}, stack), (error, client) =>
      first(error, client, client ? (reason) => client.release(reason) : () => undefined),
    );
    return undefined;
  }

  /**
   * Takes a session of its own, to be disposed: `await using session = await pool.acquire()`. What it sets, locks,
   * prepares or listens to is undone then, and whoever uses it afterwards is told so. Prefer `withSession` where a
   * callback will do.
   */
  acquire(options: SessionOptions = {}): Promise<OwnedSession> {
    return this.#engine.openSession(options, this.#engine.leaks.captureStack());
  }

  /**
   * Runs `use` on one connection: what it sets, locks, prepares or listens to is undone afterwards, in one round trip.
   */
  withSession<T>(use: (session: SessionHandle) => Promise<T>, options: SessionOptions = {}): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    return this.#engine.session(use, options, stack);
  }

  /**
   * Commits when `use` returns, rolls back when it throws. The whole callback runs again after a serialization
   * failure, a deadlock or a connection lost before COMMIT was sent, so it must have no effects but those of `tx`.
   * @throws {TransactionOutcomeUnknownError} when COMMIT was sent and its answer was lost
   */
  withTransaction<T>(use: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const stack = this.#engine.leaks.captureStack();
    return this.#engine.transaction(use, options, stack);
  }

  /** Reads a result row by row, a batch in memory at a time. The connection is held while the loop runs. */
  stream<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    options: StreamOptions = {},
  ): AsyncGenerator<Row, void, undefined> {
    return streamRows<Row>(this.#engine, text, values, options, this.#engine.leaks.captureStack());
  }

  /** Loads data by `copy … from stdin`. All rows or none; never retried. @returns how many rows were loaded */
  copyFrom(sql: string, source: CopySource, options: SessionOptions = {}): Promise<number> {
    return copyFrom(this.#engine, sql, source, options, this.#engine.leaks.captureStack());
  }

  /** Unloads data by `copy … to stdout`, in pieces as the server sends them. */
  copyTo(sql: string, options: SessionOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    return copyTo(this.#engine, sql, options, this.#engine.leaks.captureStack());
  }

  /**
   * Inserts many rows in one transaction, with one array parameter per column. For millions, `copyFrom` is faster.
   * @returns how many rows were inserted
   */
  insertMany(insert: BulkInsert, options: TransactionOptions = {}): Promise<number> {
    return this.withTransaction((tx) => insertMany(tx, insert), options);
  }

  /**
   * Listens on a channel, on one connection the whole pool shares for it. It reconnects by itself, follows a failover,
   * and tells through `onGap` when notifications may have been missed.
   */
  listen(
    channel: string,
    receive: (notification: PoolNotification) => void,
    options: ListenOptions = {},
  ): Promise<AsyncDisposable> {
    if (this.#drain) return Promise.reject(new PoolClosedError());
    return this.#engine.listener.listen(channel, receive, options);
  }

  /**
   * A stream of work that sees its own writes even on replicas. Pass its `token` to continue it elsewhere: in the
   * next request, in another process.
   * @throws {InvalidSessionTokenError}
   */
  session(token?: SessionToken | string): ReadYourWrites {
    if (token === undefined) return new ReadYourWrites(this.#engine, undefined);
    const read = typeof token === "string" ? decodeSessionToken(token) : checkSessionToken(token);
    return new ReadYourWrites(this.#engine, read);
  }

  /**
   * Probes every server, connects to the primary and opens `min` connections on each server. Optional: without it the
   * first use finds out what is wrong.
   * @throws {TopologyRefusedError} when the servers are not one primary and its standbys
   * @throws {NoPrimaryError} when none of several accepts writes; with one server, why connecting to it failed
   */
  async start(): Promise<void> {
    if (this.#drain) throw new PoolClosedError();
    await this.#engine.start();
  }

  /**
   * Opens connections until `count` are there on each server that is up, and keeps `min` from then on.
   * @throws why the first that could not be made was not
   */
  async warmUp(count: number = this.#engine.options.min): Promise<void> {
    if (this.#drain) throw new PoolClosedError();
    await this.#engine.topology.start();
    const up = this.#engine.topology.servers.filter(({ state }) => state === "up");
    const { max } = this.#engine.options;
    await Promise.all(up.map(({ connections }) => connections.warmUp(Math.min(count, max))));
  }

  /**
   * Begins nothing new until `resume`: what is asked for meanwhile waits, as long as an acquire may take. Resolves with
   * true when nothing runs any more, or with false when something still does after `timeoutMs`.
   */
  pause({ timeoutMs = this.#engine.options.drainTimeoutMs }: { readonly timeoutMs?: number } = {}): Promise<boolean> {
    if (this.#drain) return Promise.reject(new PoolClosedError());
    this.#engine.gate.close();
    return this.#engine.quiet(timeoutMs);
  }

  /** Ends a pause: what waited goes on, in the order it came. */
  resume(): void {
    this.#engine.gate.open();
  }

  /** Everything counted, and each server as last seen. Asks no server. */
  stats(): PoolStats {
    const { options, topology, counters, leaks, gate } = this.#engine;
    return gatherStats(topology, options, counters, { leaks: leaks.count, gate });
  }

  /** Whether the pool can do its work, from what its probes last saw: answers at once, whatever the servers do. */
  health(): ServiceHealth {
    const { options, topology } = this.#engine;
    const configured = topology.servers[0]?.name;
    return judgePool(this.stats(), {
      primary: topology.settled ? topology.primary?.name : configured,
      maxReplicaLagMs: options.maxReplicaLagMs,
      closed: this.#drain !== undefined,
      now: new Date(options.clock.now()).toISOString(),
    });
  }

  /** Connections checked out for longer than `leakThresholdMs` now, longest first. */
  leaks(): LeakReport[] {
    return this.#engine.leaks.current();
  }

  /**
   * Makes these the replicas: those that are new join, those that are missing leave once what runs on them has ended.
   * @throws {InvalidPoolOptionsError} for URLs that cannot be used, or when a provider says which servers there are
   */
  setReplicas(replicaUrls: NonNullable<PoolOptions["replicaUrls"]>): void {
    if (this.#drain) throw new PoolClosedError();
    const { options, topology } = this.#engine;
    const problems: string[] = [];
    if (topology.provider)
      problems.push(`replicas come from the provider ${topology.provider.name}, not from setReplicas`);
    if (options.probeIntervalMs === false) problems.push("probeIntervalMs is false: roles and lag could not be known");
    const specs = options.newServers.replicasOf(replicaUrls, problems);
    if (problems.length > 0) throw new InvalidPoolOptionsError(problems);
    topology.setReplicas(specs);
  }

  /** Replaces every connection: idle ones now, lent ones when they come back. */
  retireConnections(): void {
    for (const { connections } of this.#engine.topology.servers) connections.retireAll();
  }

  /**
   * Lends no more, lets who waits and who works finish, and closes. After `timeoutMs` what still runs is cancelled on
   * the server and cut off.
   */
  drain({
    timeoutMs = this.#engine.options.drainTimeoutMs,
  }: { readonly timeoutMs?: number } = {}): Promise<DrainReport> {
    this.#drain ??= drainPool(this.#engine, timeoutMs).finally(() => this.#mark("ended"));
    this.#mark("ending");
    return this.#drain;
  }

  override end(): Promise<void>;
  override end(callback: (error?: Error) => void): void;
  /** pg's own: as `drain` without a bound, and an error the second time. */
  override end(callback?: (error?: Error) => void): Promise<void> | undefined {
    const ended = this.#drain
      ? Promise.reject(new PoolClosedError("called end on pool more than once"))
      : this.drain({ timeoutMs: Infinity }).then(() => undefined);
    if (!callback) return ended;
    void answer(ended, callback);
    return undefined;
  }

  async stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    await this.drain(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  /** What a log shows of a pool: numbers, no credentials. */
  toJSON(): PoolStats {
    return this.stats();
  }

  override on<K extends keyof PoolEventMap>(event: K, listener: (...args: PoolEventMap[K]) => void): this;
  override on(event: "error" | "release", listener: (error: Error, client: pg.PoolClient) => void): this;
  override on(event: "connect" | "acquire" | "remove", listener: (client: pg.PoolClient) => void): this;
  override on(event: string, listener: (...args: never[]) => void): this {
    return super.on(event as "connect", listener as never);
  }

  async #query(input: unknown, values: unknown, options: QueryOptions = {}): Promise<pg.QueryResult> {
    if (typeof input === "function") {
      throw new TypeError("passing a function as the first parameter to pool.query is not supported");
    }
    if (input === null || input === undefined) throw new TypeError("the query is null or undefined");
    if (typeof (input as { submit?: unknown }).submit === "function")
      return await this.#submit(input as pg.Submittable);
    return await this.#engine.query(input as StatementInput, values as readonly unknown[] | undefined, options);
  }

  /** A query object that drives the protocol itself: it has its connection until it ends. */
  async #submit(submittable: pg.Submittable): Promise<pg.QueryResult> {
    const { connection, server } = await this.#engine.borrow({ target: this.#engine.options.route.target }, undefined);
    connection.client.query(submittable);
    connection.client.once("drain", () => server.connections.release(connection));
    return submittable as unknown as pg.QueryResult;
  }

  async #connect(
    { target = this.#engine.options.route.target, signal, timeoutMs, priority }: AcquireOptions,
    stack: string | undefined,
  ): Promise<pg.PoolClient & Disposable> {
    const { connection, server } = await this.#engine.borrow({ target, signal, timeoutMs, priority }, stack);
    if (this.#engine.options.clientHandles !== false) {
      const release = giverBack(connection, server, this.#engine.whole?.hold());
      const lent = this.#lendsPipelined ? lendPipelined(connection, release) : release;
      const { standing } = connection;
      return standing ? standing.lend({ connection, server }, lent) : BorrowedClient.lend({ connection, server }, lent);
    }
    const release = releaseOnce(connection, server, this.#engine.whole?.hold());
    connection.client.release = this.#lendsPipelined ? lendPipelined(connection, release) : release;
    disposable(connection.client);
    registerClient(connection.client, { connection, server });
    return connection.client as pg.PoolClient & Disposable;
  }

  /** pg reads these off the instance, and so do the libraries that take a pool. */
  #countFrom(topology: { readonly servers: readonly Server[] }): void {
    const sum = (of: (server: Server) => number) => (): number =>
      topology.servers.reduce((total, each) => total + of(each), 0);
    const list =
      <T>(of: (server: Server) => T[]) =>
      (): T[] =>
        topology.servers.flatMap(of);
    const getters: Readonly<Record<string, () => unknown>> = {
      totalCount: sum(({ connections }) => connections.total),
      idleCount: sum(({ connections }) => connections.idle),
      waitingCount: sum(({ connections }) => connections.queued),
      expiredCount: sum(({ connections }) => connections.expired),
      _clients: list(({ connections }) => connections.clients),
      _idle: list(({ connections }) => connections.idleClients),
    };
    for (const [name, get] of Object.entries(getters)) {
      Object.defineProperty(this, name, { get, enumerable: false, configurable: true });
    }
    // Printed, a pool would show its options, and with them the password in its URL.
    Object.defineProperty(this, inspect.custom, { value: () => describePool(this.stats()), enumerable: false });
  }

  /** `ending` and `ended` are read-only only in pg's types. */
  #mark(name: "ending" | "ended"): void {
    Object.assign(this, { [name]: true });
  }
}

/**
 * Makes a pool. Nothing is opened before its first use or `start()`.
 * @throws {InvalidPoolOptionsError} with every contradiction in the options
 */
export function createPool(options: PoolOptions): Pool {
  // Without one, pg would take the server from its environment; a variable that is missing is no reason to.
  return new Pool(
    (options as PoolOptions | undefined)?.primaryUrl === undefined ? { ...options, primaryUrl: "" } : options,
  );
}

/** What `pool.options` shows, in pg's names, for libraries that look there. Secrets do not show when it is printed. */
function facadeOptions(config: PoolConfig, options: ReturnType<typeof resolvePoolOptions>): pg.PoolConfig {
  const { max, min, maxUses, idleTimeoutMs, allowExitOnIdle } = options;
  // `pipeline` is about the pool's own connections; on a client that others make of these options it breaks cursors.
  const { pipeline: _, ...rest } = config;
  const facade: pg.PoolConfig = { ...rest, max, min, maxUses, allowExitOnIdle };
  facade.idleTimeoutMillis = idleTimeoutMs === false ? 0 : idleTimeoutMs;
  // pg itself reads neither lists of hosts nor keywords: it is shown the first server.
  const connectionString = options.servers[0]!.address.url;
  if (connectionString !== "") facade.connectionString = connectionString;
  return facade;
}

function describePool({ servers, total, idle, waiting }: PoolStats): string {
  const names = servers.map(({ name, role }) => `${name} ${role}`).join(", ");
  return `Pool { ${names}; ${total} connections, ${idle} idle, ${waiting} waiting }`;
}

type Release = (error?: Error | boolean) => void;

/** The pool's own statements on the connection are not sent ahead: its holder's are, until it comes back. */
function lendPipelined(connection: Connection, release: Release): Release {
  const client = connection.client as pg.PoolClient & { pipeline?: boolean };
  client.pipeline = true;
  return (reason) => {
    const end = (): void => void (client.pipeline = false);
    if (connection.busy) client.once("drain", end);
    else end();
    release(reason);
  };
}

async function noteThenRelease(
  connection: Connection,
  server: Server,
  error: Error | boolean | undefined,
  noted: ReturnType<ReadYourWrites["hold"]>,
): Promise<void> {
  await noted(connection, server);
  server.connections.release(connection, error);
}

/** `noted` is told of the position first, where the pool keeps count of what is written. */
function giverBack(
  connection: Connection,
  server: Server,
  noted: ReturnType<ReadYourWrites["hold"]> | undefined,
): Release {
  return (error) => {
    if (noted) void noteThenRelease(connection, server, error, noted);
    else server.connections.release(connection, error);
  };
}

function releaseOnce(...of: Parameters<typeof giverBack>): Release {
  const giveBack = giverBack(...of);
  let released = false;
  return (error) => {
    if (released) throw new DoubleReleaseError();
    released = true;
    giveBack(error);
  };
}

/** Lets a client be given back by `using`; once for each connection. */
function disposable(client: pg.PoolClient): void {
  if (Symbol.dispose in client) return;
  const release = { configurable: true, value: () => client.release() };
  Object.defineProperties(client, { [Symbol.dispose]: release });
}
