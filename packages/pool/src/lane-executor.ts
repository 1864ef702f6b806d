import type pg from "pg";
import { hasUnknownKeys, makeRoom, named, ownName, revise } from "./auto-prepare.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { ExclusiveExecutor, type Executor, type ExecutorHooks } from "./executor.ts";
import { classifyError } from "./classify.ts";
import { SessionStateError } from "./errors.ts";
import { StatementFailure, unwrapFailure } from "./failure.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { RoundTrip } from "./round-trip.ts";
import { heldUpMs, settledSamples, type StatementProfile, StatementProfiles } from "./statement-profile.ts";
import { type AcquireRequest } from "./wait-queue.ts";
import { classifyStatementError, statementText, type Statement, type StatementHost } from "./statement.ts";

/** How statements share connections. */
export interface PipelineOptions {
  /** Most connections shared at the same time, and never more than half of `max`. Default 4. */
  readonly lanes?: number;
  /** Most statements in flight on one of them while another connection is free. Default 32. */
  readonly maxDepth?: number;
}

/** A statement whose server is busy with it for longer on average has a connection to itself. */
const slowMs = 5;
/** Many will share it, and for a moment each: it goes before those who want one to themselves. */
const forStatements: AcquireRequest = Object.freeze({ borrowed: false, shared: true, priority: "high" });
/** How long the last lane is kept open without a statement while others wait for a connection. */
const lingerMs = 5;
/** How far beyond its depth a lane is filled while no connection is free. */
const overfullTimes = 8;
/** A lane this deep is joined by another, while there may be one. */
const crowded = 4;

/**
 * Runs statements that only read on shared connections, several in flight on each; everything else, and whatever is
 * unseen, slow or to be cancelled, on a connection of its own. Prepares what is used again.
 *
 * A shared connection is one of the pool's, taken while there is something to send and given back when all is answered:
 * what the pool promises of its connections holds for it too.
 */
export class LaneExecutor implements Executor {
  readonly #connections: Connections;
  readonly #options: ResolvedPoolOptions;
  readonly #exclusive: ExclusiveExecutor;
  readonly #profiles = new StatementProfiles();
  readonly #lanes: Lane[] = [];
  readonly #mostLanes: number;
  readonly #maxDepth: number;
  readonly #maxPrepared: number;
  /** A connection becomes a lane again and again. */
  readonly #laneOf = new WeakMap<Connection, Lane>();
  readonly #owner: LaneOwner;
  readonly #roundTrip = new RoundTrip();
  #lingering: NodeJS.Timeout | undefined;
  /** True while a connection is waited for that will be a lane. */
  #opening = false;
  /** What statements wait for that found no lane fit for more: one that opens, or one that gets on. */
  #fitLane: PromiseWithResolvers<Lane | undefined> | undefined;

  constructor(connections: Connections, options: ResolvedPoolOptions, host: StatementHost) {
    this.#connections = connections;
    this.#options = options;
    this.#exclusive = new ExclusiveExecutor(connections, host);
    const { pipeline, prepare, max, maxUses, pg: own } = options;
    const shared = pipeline !== false && maxUses === Infinity && own.Client === undefined;
    this.#mostLanes = shared ? Math.min(pipeline.lanes, Math.floor(max / 2)) : 0;
    this.#maxDepth = pipeline === false ? 0 : pipeline.maxDepth;
    this.#maxPrepared = prepare === false ? Infinity : prepare.maxPerConnection;
    this.#owner = {
      host,
      connections,
      mostPrepared: this.#maxPrepared,
      timeoutMs: options.queryTimeoutMs,
      roundTrip: this.#roundTrip,
      answered: (lane) => {
        if (this.#fitLane && lane.usable) this.#settleFit(lane);
      },
      emptied: (lane) => this.#emptied(lane),
      closed: (lane, broken) => this.#closed(lane, broken),
    };
  }

  /** Statements in flight beyond one for each connection. */
  get extraInFlight(): number {
    return this.#lanes.reduce((sum, { depth }) => sum + Math.max(0, depth - 1), 0);
  }

  execute(statement: Statement, afterward?: (connection: Connection) => Promise<void>): Promise<pg.QueryResult> {
    const { config } = statement;
    const profile = this.#profiles.of(statement.untagged ?? statementText(config));
    profile.uses += 1;
    const { prepare, sessionState } = this.#options;
    const change = profile.changesSession;
    if (change !== undefined && sessionState === "refuse") {
      const error = new SessionStateError(change);
      return Promise.reject(new StatementFailure(error, classifyError(error)));
    }
    const own = prepare === false || statement.prepare === false ? undefined : ownName(statement, profile, prepare);
    if (afterward === undefined && this.#mayShare(statement, profile)) {
      const now = performance.now();
      const lane = this.#lane(now);
      if (lane instanceof Lane) {
        const name = own ?? (typeof config === "string" ? undefined : config.name);
        return lane
          .run(statement, { profile, name, now })
          .catch((error: unknown) => this.#afterLane(error, statement, profile, own));
      }
      if (lane) return this.#whenFit(lane, statement, profile, own);
    }
    return this.#alone(statement, profile, own, afterward);
  }

  /** Runs it on a connection of its own. */
  async #alone(
    statement: Statement,
    profile: StatementProfile,
    own: string | undefined,
    afterward?: (connection: Connection) => Promise<void>,
  ): Promise<pg.QueryResult> {
    const hooks: ExecutorHooks = {
      taken: (connection) => own !== undefined && makeRoom(connection, own, profile.text, this.#maxPrepared),
      served: (durationMs, connection) => this.#served(profile, durationMs, connection),
      renews: own !== undefined,
    };
    try {
      return await this.#exclusive.execute(own === undefined ? statement : named(statement, own), afterward, hooks);
    } catch (error) {
      if (own === undefined || !isStalePlan(error)) throw error;
      // It never began, so it is sent again, whatever it does.
      revise(profile, own);
      return await this.#alone(statement, profile, undefined, afterward);
    }
  }

  async #afterLane(
    error: unknown,
    statement: Statement,
    profile: StatementProfile,
    own: string | undefined,
  ): Promise<pg.QueryResult> {
    if (own !== undefined && isStalePlan(error)) {
      revise(profile, own);
      return await this.#alone(statement, profile, undefined);
    }
    // Behind the one the server answered with the end of the session: it never began, and has a retry for free.
    if (!(error instanceof StatementFailure && error.secondary && error.verdict.retry === "always")) {
      // As pg does for its promises: the stack of the caller says more than that of the socket.
      const inner = unwrapFailure(error);
      if (inner instanceof Error) Error.captureStackTrace(inner);
      throw error;
    }
    return await this.#alone(statement, profile, own);
  }

  /** What was prepared may mean something else now. */
  schemaChanged(): void {
    this.#profiles.renameAll();
  }

  /** Where a statement that could share a connection keeps taking long, the way there is taken, lest it is that. */
  #served(profile: StatementProfile, durationMs: number, connection: Connection): Promise<void> | undefined {
    profile.took(this.#roundTrip.without(durationMs));
    if (!profile.shareable || this.#mostLanes === 0 || durationMs <= slowMs || connection.wire === undefined)
      return undefined;
    if (profile.samples < settledSamples) return undefined;
    const now = performance.now();
    const nearby = durationMs <= slowMs + this.#roundTrip.allowanceMs;
    if (nearby ? !this.#roundTrip.isOld(now) : !this.#roundTrip.isDue(now)) return undefined;
    return this.#roundTrip.ask(connection, this.#options.cancelTimeoutMs);
  }

  #mayShare({ config, values, signal, timeoutMs, untagged }: Statement, profile: StatementProfile): boolean {
    if (!profile.shareable || profile.uses < 2) return false;
    // What a cold cache cost the first runs says little yet.
    if (profile.averageMs > (profile.samples <= settledSamples ? heldUpMs : slowMs) || profile.unsteady) return false;
    if (signal !== undefined || timeoutMs !== this.#options.queryTimeoutMs || this.#mostLanes === 0) return false;
    if (untagged !== undefined) return false;
    if (values !== undefined && !Array.isArray(values)) return false;
    return typeof config === "string" || !hasUnknownKeys(config);
  }

  /** The lane for a statement, perhaps one that will be fit for it; none when all are full. */
  #lane(now: number): Lane | Promise<Lane | undefined> | undefined {
    const lane = this.#laneNow(now);
    if (lane !== "held up") return lane;
    // With all held up there is room for a few more, unless one to itself is to be had at once.
    const most = this.#connections.idle > 0 ? this.#mostLanes : 2 * this.#mostLanes;
    return this.#lanes.length >= most ? undefined : this.#awaitFit();
  }

  #laneNow(now: number): Lane | "held up" | undefined {
    // Where others wait for a connection, as few lanes as will do: the rest empty and go to them.
    const wanted = this.#lanes.length > 1 && this.#connections.waiting > 0;
    const mostHeadMs = heldUpMs + this.#roundTrip.allowanceMs;
    let best: Lane | undefined;
    let shallowest: Lane | undefined;
    for (const lane of this.#lanes) {
      if (lane.headMs(now) > mostHeadMs || !lane.usable || !this.#connections.mayServe(lane.connection, now)) continue;
      const { depth } = lane;
      if (!shallowest || depth < shallowest.depth) shallowest = lane;
      if (depth < this.#maxDepth && (!best || (wanted ? depth > best.depth : depth < best.depth))) best = lane;
    }
    if (best && (wanted || best.depth < crowded || this.#opening)) return best;
    if (this.#lanes.length < this.#mostLanes && !this.#opening) {
      const free = this.#connections.acquireNow(forStatements);
      if (free) return this.#add(free) ?? best;
      // Another connection is not worth waiting for, but those who come later will have it.
      if (shallowest && !this.#connections.isFull) void this.#open();
    }
    // Behind many fast ones it is sooner done than in a queue for a connection.
    const overfull = shallowest && this.#connections.idle === 0 && shallowest.depth < overfullTimes * this.#maxDepth;
    if (best ?? overfull) return best ?? shallowest;
    return shallowest ? undefined : "held up";
  }

  /** Whichever comes first: a lane that is held up gets on, or a connection is free to be another one. */
  #awaitFit(): Promise<Lane | undefined> {
    this.#fitLane ??= Promise.withResolvers();
    if (!this.#opening) void this.#open();
    return this.#fitLane.promise;
  }

  #settleFit(lane: Lane | undefined): void {
    this.#fitLane?.resolve(lane);
    this.#fitLane = undefined;
  }

  async #open(): Promise<void> {
    this.#opening = true;
    let lane: Lane | undefined;
    try {
      lane = this.#add(await this.#connections.acquire(forStatements));
    } catch (error) {
      // Those who wait hear why; those who come later will find out.
      this.#fitLane?.reject(error);
      this.#fitLane = undefined;
      return;
    } finally {
      this.#opening = false;
    }
    this.#settleFit(lane);
    // It closes again when nobody came.
    process.nextTick(() => lane?.closeEmpty());
  }

  /** Waits for a lane that is fit for more; by this statement's turn it may be full or broken. */
  async #whenFit(
    fit: Promise<Lane | undefined>,
    statement: Statement,
    profile: StatementProfile,
    own: string | undefined,
  ): Promise<pg.QueryResult> {
    let awaited: Lane | undefined;
    try {
      awaited = await fit;
    } catch (error) {
      throw new StatementFailure(error, classifyStatementError(error, undefined, statement));
    }
    const now = performance.now();
    let lane = this.#laneNow(now);
    // The one it waited for is its by right, also in a pool that closes meanwhile and lends no more.
    if (lane === "held up" && awaited?.usable && this.#lanes.includes(awaited)) lane = awaited;
    if (!(lane instanceof Lane)) return await this.#alone(statement, profile, own);
    const { config } = statement;
    const name = own ?? (typeof config === "string" ? undefined : config.name);
    try {
      return await lane.run(statement, { profile, name, now });
    } catch (error) {
      return await this.#afterLane(error, statement, profile, own);
    }
  }

  /** Makes a connection a lane; gives it back when something else is under way on it. */
  #add(connection: Connection): Lane | undefined {
    const lane =
      connection.wire && (this.#laneOf.get(connection) ?? new Lane(connection, connection.wire, this.#owner));
    if (!lane?.open()) {
      this.#connections.release(connection);
      return undefined;
    }
    this.#laneOf.set(connection, lane);
    this.#lanes.push(lane);
    return lane;
  }

  /**
   * While others wait for a connection, the last lane is kept for a moment: they would hold it for as long as their
   * statements take, and those that need only a moment would wait behind them.
   */
  #emptied(lane: Lane): void {
    if (this.#lanes.length > 1 || this.#connections.waiting === 0) lane.closeEmpty();
    else if (this.#lingering) this.#lingering.refresh();
    else this.#lingering = setTimeout(() => this.#lingered(), lingerMs);
  }

  #lingered(): void {
    this.#lingering = undefined;
    for (const lane of this.#lanes.slice()) lane.closeEmpty();
  }

  #closed(lane: Lane, broken: Error | undefined): void {
    const index = this.#lanes.indexOf(lane);
    if (index < 0) return;
    this.#lanes.splice(index, 1);
    this.#connections.release(lane.connection, broken);
  }
}

function isStalePlan(error: unknown): boolean {
  return error instanceof StatementFailure && error.verdict.kind === "stale-plan";
}
