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
import { type StatementProfile, StatementProfiles } from "./statement-profile.ts";
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
/** A lane whose statement takes longer than this gets no more. */
const heldUpMs = 20;
const forStatements: AcquireRequest = Object.freeze({ borrowed: false, shared: true });
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
  /** The shortest that a statement alone on its connection took lately: the way there and back. */
  #roundTripMs = 0;
  #lingering: NodeJS.Timeout | undefined;
  #opening: Promise<Lane | undefined> | undefined;

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
      if (lane) return this.#opened(lane, statement, profile, own);
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
      served: (durationMs) => this.#served(profile, durationMs),
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

  #served(profile: StatementProfile, durationMs: number): void {
    profile.took(durationMs);
    // It may grow again, when the server or the network is another.
    this.#roundTripMs = Math.min(durationMs, this.#roundTripMs === 0 ? durationMs : this.#roundTripMs * 1.02);
  }

  #mayShare({ config, values, signal, timeoutMs, untagged }: Statement, profile: StatementProfile): boolean {
    if (!profile.shareable || profile.uses < 2) return false;
    // What a cold cache cost the first runs says little yet.
    if (profile.averageMs > (profile.samples <= 5 ? heldUpMs : slowMs + this.#roundTripMs)) return false;
    if (signal !== undefined || timeoutMs !== false || this.#mostLanes === 0) return false;
    if (untagged !== undefined) return false;
    if (values !== undefined && !Array.isArray(values)) return false;
    return typeof config === "string" || !hasUnknownKeys(config);
  }

  /** The lane for a statement, perhaps one that is being opened; none when all are full or held up. */
  #lane(now: number): Lane | Promise<Lane | undefined> | undefined {
    // Where others wait for a connection, as few lanes as will do: the rest empty and go to them.
    const wanted = this.#lanes.length > 1 && this.#connections.waiting > 0;
    let best: Lane | undefined;
    let shallowest: Lane | undefined;
    for (const lane of this.#lanes) {
      if (lane.headMs(now) > heldUpMs || !lane.usable || !this.#connections.mayServe(lane.connection, now)) continue;
      const { depth } = lane;
      if (!shallowest || depth < shallowest.depth) shallowest = lane;
      if (depth < this.#maxDepth && (!best || (wanted ? depth > best.depth : depth < best.depth))) best = lane;
    }
    if (best && (wanted || best.depth < crowded)) return best;
    if (this.#opening) return best ?? this.#opening;
    if (this.#lanes.length < this.#mostLanes) {
      const free = this.#connections.acquireNow(forStatements);
      if (free) return this.#add(free) ?? best;
      if (!shallowest) return this.#open();
      // Another connection is not worth waiting for, but those who come later will have it.
      if (!this.#connections.isFull) void this.#open().then(leaveUnused, leaveUnused);
      return best ?? shallowest;
    }
    // Behind many fast ones it is sooner done than in a queue for a connection.
    const overfull = shallowest && this.#connections.idle === 0 && shallowest.depth < overfullTimes * this.#maxDepth;
    return best ?? (overfull ? shallowest : undefined);
  }

  #open(): Promise<Lane | undefined> {
    this.#opening = this.#connections
      .acquire(forStatements)
      .then((connection) => this.#add(connection))
      .finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** Waits for a lane that is being opened; by this statement's turn it may be full or broken. */
  async #opened(
    opening: Promise<Lane | undefined>,
    statement: Statement,
    profile: StatementProfile,
    own: string | undefined,
  ): Promise<pg.QueryResult> {
    let lane: Lane | undefined;
    try {
      lane = await opening;
    } catch (error) {
      throw new StatementFailure(error, classifyStatementError(error, undefined, statement));
    }
    if (!lane || !this.#lanes.includes(lane) || lane.depth >= this.#maxDepth || !lane.usable) {
      lane?.closeEmpty();
      return await this.#alone(statement, profile, own);
    }
    const { config } = statement;
    const name = own ?? (typeof config === "string" ? undefined : config.name);
    try {
      return await lane.run(statement, { profile, name, now: performance.now() });
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

/** A lane opened for those who come later closes again when nobody came; why it could not be opened they will hear. */
function leaveUnused(lane: unknown): void {
  if (lane instanceof Lane) process.nextTick(() => lane.closeEmpty());
}

function isStalePlan(error: unknown): boolean {
  return error instanceof StatementFailure && error.verdict.kind === "stale-plan";
}
