import { sqlStateOf } from "@db/core";
import type pg from "pg";
import { Connection } from "./connection.ts";
import { type OpenOptions, openConnection } from "./connect.ts";
import { AcquireTimeoutError, type AcquireTimeoutFacts, PoolClosedError, PoolSaturatedError } from "./errors.ts";
import { type ConnectionCounters, type ConnectionsListener, newConnectionCounters } from "./connection-events.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { SoftMax } from "./soft-max.ts";
import { aborted, type AcquireRequest, WaitQueue } from "./wait-queue.ts";

/** A failure of these kinds will be the same for everybody who waits. */
const unreachableCodes: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);

/**
 * The connections of one server: lends them, queues who must wait, opens and retires them.
 *
 * A waiter is not bound to the connection opened for it: whichever becomes free first serves the head of the queue,
 * so a slow connect never delays a caller that a returning connection could have served.
 */
export class Connections {
  readonly counters: ConnectionCounters = newConnectionCounters();
  readonly #server: string;
  readonly #options: ResolvedPoolOptions;
  readonly #open: Omit<OpenOptions, "generation" | "after">;
  readonly #listener: ConnectionsListener;
  readonly #live = new Set<Connection>();
  readonly #connecting = new Set<pg.Client>();
  readonly #idle: Connection[] = [];
  readonly #waiters: WaitQueue;
  readonly #removing = new Set<Promise<void>>();
  readonly #softMax: SoftMax;
  #generation = 0;
  #openFailures = 0;
  #reopenTimer: NodeJS.Timeout | undefined;
  #closing: { readonly promise: Promise<void>; resolve(): void } | undefined;
  /** Set by `warmUp`. Without it `min` only spares idle connections, as in pg. */
  #keepMin = false;

  constructor(of: Omit<OpenOptions, "generation" | "after"> & { readonly listener: ConnectionsListener }) {
    this.#server = of.server;
    this.#options = of.options;
    this.#softMax = new SoftMax(of.options.max, () => this.#grow());
    this.#open = of;
    this.#listener = of.listener;
    this.#waiters = new WaitQueue({
      waitMs: this.counters.waitMs,
      timedOut: (waitedMs) => this.#acquireTimeout(waitedMs),
      left: () => this.#finishDrain(),
    });
  }

  get clients(): pg.Client[] {
    return [...this.#connecting, ...Array.from(this.#live, ({ client }) => client)];
  }
  get idleClients(): pg.Client[] {
    return this.#idle.map(({ client }) => client);
  }
  get total(): number {
    return this.#live.size + this.#connecting.size;
  }
  get idle(): number {
    return this.#idle.length;
  }
  get connecting(): number {
    return this.#connecting.size;
  }
  get checkedOut(): number {
    return this.#live.size - this.#idle.length;
  }
  get waiting(): number {
    return this.#waiters.length;
  }
  get expired(): number {
    const now = performance.now();
    return Array.from(this.#live).filter((connection) => connection.checkout && connection.expiresAt <= now).length;
  }
  /** True when no more may be opened. */
  get isFull(): boolean {
    return this.total >= this.#softMax.relax();
  }
  get lent(): Connection[] {
    return Array.from(this.#live).filter(({ checkout }) => checkout !== undefined);
  }
  /** The most connections the server seems to allow: `max`, or fewer since it said that it was full. */
  get allowed(): number {
    return this.#softMax.limit;
  }
  /** Waiting for a connection that is not being opened already: what pg calls waiting. */
  get queued(): number {
    return Math.max(0, this.#waiters.length - this.#connecting.size);
  }

  /**
   * Lends a connection.
   * @throws {AcquireTimeoutError} {PoolSaturatedError} {PoolClosedError} {AbortedError}, or why connecting failed
   */
  acquire(request: AcquireRequest): Promise<Connection> {
    if (this.#closing) return Promise.reject(new PoolClosedError());
    if (request.signal?.aborted) return Promise.reject(aborted(request.signal));
    if (this.#waiters.length === 0) {
      const connection = this.#takeIdle();
      if (connection) {
        const { validateAfterIdleMs } = this.#options;
        if (validateAfterIdleMs !== false && performance.now() - connection.idleSince > validateAfterIdleMs) {
          return this.#lendIfAlive(connection, request);
        }
        this.counters.waitMs.observeMs(0);
        return Promise.resolve(this.#lend(connection, request));
      }
    }
    if (this.#waiters.length >= this.#options.maxWaiting + (this.isFull ? 0 : this.#options.max)) {
      const saturated = (): PoolSaturatedError =>
        new PoolSaturatedError({ server: this.#server, waiting: this.#waiters.length });
      if (request.shared || !this.#waiters.displace(request, saturated)) return Promise.reject(saturated());
    }
    return this.#wait(request);
  }

  /** Lends a connection if one is free, fresh and wanted by nobody else. */
  acquireNow(request: AcquireRequest): Connection | undefined {
    if (this.#closing || this.#waiters.length > 0) return undefined;
    const { validateAfterIdleMs } = this.#options;
    const latest = this.#idle.at(-1);
    if (!latest) return undefined;
    if (validateAfterIdleMs !== false && performance.now() - latest.idleSince > validateAfterIdleMs) return undefined;
    const connection = this.#takeIdle();
    if (connection) this.counters.waitMs.observeMs(0);
    return connection && this.#lend(connection, request);
  }

  /** True when it may go on being used: it is whole, not too old, and the pool is not closing. */
  mayServe(connection: Connection, now: number): boolean {
    return !this.#closing && !this.#mustRetire(connection, now);
  }

  /** Tells of a statement that has its share of a connection, as of a checkout. */
  shareBegan(connection: Connection): void {
    connection.show((client) => this.#listener.acquired(client));
  }

  shareEnded(connection: Connection): void {
    connection.show((client) => this.#listener.released(undefined, client));
  }

  /** Gives a connection back. With an error, or `true`, it is closed instead of being lent again. */
  release(connection: Connection, error?: Error | boolean): void {
    const { checkout } = connection;
    if (checkout) this.counters.useMs.observeMs(performance.now() - checkout.since);
    this.#listener.returned(connection);
    connection.checkout = undefined;
    if (!checkout?.shared) connection.show((client) => this.#listener.released(error, client));
    if (error || this.#mustRetire(connection)) {
      this.destroy(connection);
      // It broke after its statement had ended: nobody else will hear of it.
      const { brokenBy } = connection;
      if (!error && brokenBy && !checkout?.borrowed) this.#listener.idleFailed(brokenBy, connection);
    } else if (connection.busy) this.#settle(connection);
    else if (connection.inTransaction) void this.#rollBack(connection);
    else this.#offer(connection);
  }

  /** Closes one connection now. Whoever holds it sees it fail. */
  destroy(connection: Connection): void {
    if (!this.#live.delete(connection)) return;
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    connection.closing = true;
    clearTimeout(connection.idleTimer);
    clearTimeout(connection.lifetimeTimer);
    this.counters.closed += 1;
    this.#end(connection);
    this.#grow();
  }

  /** Closes every socket at once, because the server no longer answers. Statements on them fail with `cause`. */
  abortAll(cause: Error): void {
    for (const connection of this.#live) {
      connection.brokenBy = cause;
      connection.destroySocket();
      if (!connection.checkout) this.destroy(connection);
    }
    for (const client of this.#connecting) client.connection?.stream?.destroy();
  }

  /** Rejects everyone in the queue. */
  rejectWaiting(cause: Error): void {
    this.#waiters.reject(cause, { count: Infinity, at: Infinity });
  }

  /** Replaces every connection: idle ones now, lent ones when they come back. */
  retireAll(): void {
    this.#generation += 1;
    for (const connection of this.#idle.slice()) this.destroy(connection);
  }

  /** Opens connections until `count` are there, and keeps `min` from then on. Resolves when they are, rejects when one cannot be made. */
  async warmUp(count: number): Promise<void> {
    this.#keepMin = true;
    const missing = count - this.total;
    const request: AcquireRequest = { borrowed: false };
    const lent = await Promise.allSettled(Array.from({ length: Math.max(0, missing) }, () => this.#wait(request)));
    for (const outcome of lent) if (outcome.status === "fulfilled") this.release(outcome.value);
    for (const outcome of lent) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** Lends nothing more, serves who waits already, and resolves when every connection is closed. */
  drain(): Promise<void> {
    if (this.#closing) return this.#closing.promise;
    this.#closing = Promise.withResolvers<void>();
    for (const connection of this.#idle.slice()) if (this.#waiters.length === 0) this.destroy(connection);
    this.#finishDrain();
    return this.#closing.promise;
  }

  /** Ends a drain by force: refuses who waits and closes what is lent. @returns how many were cut off */
  forceClose(): number {
    this.rejectWaiting(new PoolClosedError("the pool was closed while waiting for a connection"));
    const cut = Array.from(this.#live);
    for (const connection of cut) {
      connection.brokenBy = new PoolClosedError("the pool was closed by force");
      connection.destroySocket();
      this.destroy(connection);
    }
    for (const client of this.#connecting) client.connection?.stream?.destroy();
    return cut.length;
  }

  #wait(request: AcquireRequest): Promise<Connection> {
    const connection = this.#waiters.join(request, request.timeoutMs ?? this.#options.acquireTimeoutMs);
    this.#grow();
    return connection;
  }

  #lend(connection: Connection, { borrowed, stack, shared = false }: AcquireRequest): Connection {
    connection.checkout = { since: performance.now(), stack, borrowed, shared };
    connection.uses += 1;
    if (this.#options.allowExitOnIdle) connection.ref();
    if (!shared) connection.show((client) => this.#listener.acquired(client));
    this.#listener.lent(connection);
    return connection;
  }

  #takeIdle(): Connection | undefined {
    // Last in, first out: the rest grow old together and idle away.
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (!this.#mustRetire(connection)) return connection;
      this.destroy(connection);
    }
    return undefined;
  }

  async #lendIfAlive(connection: Connection, request: AcquireRequest): Promise<Connection> {
    const deadline = setTimeout(() => connection.destroySocket(), this.#options.cancelTimeoutMs);
    try {
      await connection.client.query("");
    } catch {
      this.destroy(connection);
      return await this.acquire(request);
    } finally {
      clearTimeout(deadline);
    }
    if (request.signal?.aborted) {
      this.#offer(connection);
      throw aborted(request.signal);
    }
    return this.#lend(connection, request);
  }

  #offer(connection: Connection): void {
    const waiter = this.#waiters.next();
    if (waiter) {
      waiter.resolve(this.#lend(connection, waiter.request));
      return;
    }
    if (this.#closing) {
      this.destroy(connection);
      return;
    }
    connection.idleSince = performance.now();
    this.#idle.push(connection);
    const { idleTimeoutMs, allowExitOnIdle } = this.#options;
    if (allowExitOnIdle) connection.unref();
    if (idleTimeoutMs === false || idleTimeoutMs === Infinity) return;
    if (connection.idleTimer) connection.idleTimer.refresh();
    else connection.idleTimer = setTimeout(() => this.#idledOut(connection), idleTimeoutMs);
    if (allowExitOnIdle) connection.idleTimer.unref();
  }

  #idledOut(connection: Connection): void {
    if (connection.checkout || this.total <= this.#options.min || !this.#idle.includes(connection)) return;
    this.#options.pg.log?.("remove idle client");
    this.destroy(connection);
  }

  #mustRetire(connection: Connection, now: number = performance.now()): boolean {
    if (!connection.usable || connection.generation !== this.#generation) return true;
    if (connection.uses >= this.#options.maxUses) {
      this.#options.pg.log?.("remove expended client");
      return true;
    }
    return connection.expiresAt <= now;
  }

  /** A statement is still running: the connection is free when it has ended. */
  #settle(connection: Connection): void {
    connection.client.once("drain", () => {
      if (!this.#live.has(connection)) return;
      if (connection.inTransaction) void this.#rollBack(connection);
      else this.#offer(connection);
    });
  }

  async #rollBack(connection: Connection): Promise<void> {
    this.#listener.leftOpen(connection);
    const deadline = setTimeout(() => connection.destroySocket(), this.#options.cancelTimeoutMs);
    try {
      await connection.client.query("rollback");
      this.#offer(connection);
    } catch {
      this.destroy(connection);
    } finally {
      clearTimeout(deadline);
    }
  }

  #grow(): void {
    if (this.#closing && this.#waiters.length === 0) {
      this.#finishDrain();
      return;
    }
    const wanted = Math.max(
      this.#waiters.length,
      this.#keepMin && !this.#closing ? this.#options.min - this.#live.size : 0,
    );
    // Cold: everyone waits for the first connections, so open them together. Later, one that returns often serves the
    // queue sooner than a new one would; and a server that ended all of them is not to be met by all at once.
    const cold = this.counters.opened === 0 && this.#openFailures === 0;
    const { connectConcurrency } = this.#options;
    const limit = this.#live.size > 0 ? connectConcurrency : cold ? Infinity : 2 * connectConcurrency;
    if (this.#reopenTimer && this.#live.size > 0) return;
    const most = Math.min(wanted, limit);
    for (let opening = this.#connecting.size; opening < most && !this.isFull; opening += 1) void this.#openOne();
  }

  async #openOne({ again = false, after }: { again?: boolean; after?: pg.Client } = {}): Promise<void> {
    const started = performance.now();
    this.#options.pg.log?.("connecting new client");
    let client: pg.Client | undefined;
    let connection: Connection;
    try {
      const opening = openConnection({ ...this.#open, after, generation: this.#generation });
      client = opening.client;
      this.#connecting.add(client);
      connection = await opening.opened;
    } catch (error) {
      if (client) this.#connecting.delete(client);
      const { spec } = this.#open;
      if (client && spec.hasOtherWay(client, error)) return void this.#openOne({ again, after: client });
      this.counters.openFailed += 1;
      // A password function may hand out a new one after a rotation: ask it once more.
      if (!again && spec.refreshesPassword && sqlStateOf(error) === "28P01") void this.#openOne({ again: true });
      else this.#openFailed(error, started);
      return;
    }
    this.#connecting.delete(client);
    this.#openFailures = 0;
    this.counters.opened += 1;
    this.counters.createMs.observeMs(performance.now() - started);
    this.#adopt(connection);
    // Whoever still waits may wait for statements that take long.
    this.#grow();
  }

  #adopt(connection: Connection): void {
    this.#live.add(connection);
    connection.schemaChanged = () => this.#listener.schemaChanged();
    connection.garbled = () => this.#listener.garbled(connection);
    let listeners = Infinity;
    let told = false;
    connection.client.on("error", (error: Error) => {
      connection.brokenBy ??= error;
      if (connection.checkout?.borrowed && !told) {
        told = true;
        // Its borrower may have nothing under way on it, so that no statement tells of the loss.
        this.#listener.lentFailed(
          connection.brokenBy,
          connection,
          connection.client.listenerCount("error") > listeners,
        );
      }
      if (connection.checkout || !this.#live.has(connection)) return;
      this.destroy(connection);
      this.#listener.idleFailed(error, connection);
    });
    listeners = connection.client.listenerCount("error");
    const { expiresAt } = connection;
    if (expiresAt - performance.now() < 2 ** 31) {
      const expire = (): void => {
        if (this.#idle.includes(connection)) this.destroy(connection);
      };
      connection.lifetimeTimer = setTimeout(expire, Math.max(1, expiresAt - performance.now())).unref();
    }
    connection.show((client) => this.#listener.connected(client));
    this.#offer(connection);
  }

  #openFailed(error: unknown, startedAt: number): void {
    this.#openFailures += 1;
    if (sqlStateOf(error) === "53300") this.#softMax.refused(this.#live.size);
    if (this.#live.size > 0 || this.#waiters.length === 0) {
      if (this.#closing) return this.#finishDrain();
      // Those at work serve the queue meanwhile; a full or slow server is not asked again at once.
      const bound = Math.min(5_000, 100 * 2 ** Math.min(this.#openFailures, 6));
      this.#reopenTimer ??= setTimeout(() => {
        this.#reopenTimer = undefined;
        this.#grow();
      }, Math.random() * bound).unref();
      return;
    }
    const everyone = unreachableCodes.has((error as { code?: unknown }).code);
    // Who came after this attempt began has a claim to one of its own.
    this.#waiters.reject(error, { count: everyone ? Infinity : 1, at: startedAt });
    this.#grow();
  }

  #end(connection: Connection): void {
    const { client } = connection;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#removing.add(promise);
    // A broken socket may never finish closing.
    const deadline = setTimeout(() => connection.destroySocket(), this.#options.cancelTimeoutMs).unref();
    client.end(() => {
      clearTimeout(deadline);
      this.#removing.delete(promise);
      connection.show((shown) => this.#listener.removed(shown));
      resolve();
      this.#finishDrain();
    });
  }

  #finishDrain(): void {
    if (!this.#closing || this.#waiters.length > 0 || this.total > 0 || this.#removing.size > 0) return;
    clearTimeout(this.#reopenTimer);
    this.#softMax.stop();
    this.#closing.resolve();
  }

  #acquireTimeout(waitedMs: number): AcquireTimeoutError {
    this.counters.acquireTimeouts += 1;
    const oldest = this.lent.sort((a, b) => a.checkout!.since - b.checkout!.since)[0]?.checkout;
    const facts: AcquireTimeoutFacts = {
      server: this.#server,
      waitedMs,
      max: this.#options.max,
      checkedOut: this.checkedOut,
      idle: this.idle,
      connecting: this.connecting,
      // The one that gives up is among them.
      waiting: this.#waiters.length,
      ...(oldest === undefined ? {} : { oldestHeldMs: performance.now() - oldest.since }),
      ...(oldest?.stack === undefined ? {} : { oldestStack: oldest.stack }),
    };
    return new AcquireTimeoutError(facts, { inPgWords: this.#options.pg.connectionTimeoutMillis !== undefined });
  }
}
