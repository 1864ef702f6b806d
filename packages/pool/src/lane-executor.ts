import type pg from "pg";
import { hasUnknownKeys, makeRoom, prepared, revise } from "./auto-prepare.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { ExclusiveExecutor, type Executor } from "./executor.ts";
import { StatementFailure } from "./failure.ts";
import { Lane } from "./lane.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { type StatementProfile, StatementProfiles } from "./statement-profile.ts";
import { classifyStatementError, type Statement, type StatementHost } from "./statement.ts";

/** How statements share connections. */
export interface PipelineOptions {
  /** Most connections shared at the same time, and never more than half of `max`. Default 4. */
  readonly lanes?: number;
  /** Most statements in flight on one of them. Default 32. */
  readonly maxDepth?: number;
}

/** A statement that takes longer on average has a connection to itself. */
const slowMs = 20;
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
  readonly #host: StatementHost;
  readonly #exclusive: ExclusiveExecutor;
  readonly #profiles = new StatementProfiles();
  readonly #lanes: Lane[] = [];
  readonly #mostLanes: number;
  readonly #maxDepth: number;
  readonly #maxPrepared: number;
  #opening: Promise<Lane> | undefined;

  constructor(connections: Connections, options: ResolvedPoolOptions, host: StatementHost) {
    this.#connections = connections;
    this.#options = options;
    this.#host = host;
    this.#exclusive = new ExclusiveExecutor(connections, host);
    const { pipeline, prepare, max, maxUses, pg: own } = options;
    const shared = pipeline !== false && maxUses === Infinity && own.Client === undefined;
    this.#mostLanes = shared ? Math.min(pipeline.lanes, Math.floor(max / 2)) : 0;
    this.#maxDepth = pipeline === false ? 0 : pipeline.maxDepth;
    this.#maxPrepared = prepare === false ? Infinity : prepare.maxPerConnection;
  }

  /** Statements in flight beyond one for each connection. */
  get extraInFlight(): number {
    return this.#lanes.reduce((sum, { depth }) => sum + Math.max(0, depth - 1), 0);
  }

  async execute(statement: Statement, afterward?: (connection: Connection) => Promise<void>): Promise<pg.QueryResult> {
    const { config } = statement;
    const profile = this.#profiles.of(typeof config === "string" ? config : config.text);
    profile.uses += 1;
    const { prepare } = this.#options;
    const named = prepare === false ? undefined : prepared(statement, profile, prepare);
    try {
      return await this.#send(named ?? statement, profile, afterward);
    } catch (error) {
      if (!named || !(error instanceof StatementFailure) || error.verdict.kind !== "stale-plan") throw error;
      // It never began, so it is sent again, whatever it does.
      revise(profile);
      return await this.#send(statement, profile, afterward);
    }
  }

  async #send(
    statement: Statement,
    profile: StatementProfile,
    afterward: ((connection: Connection) => Promise<void>) | undefined,
  ): Promise<pg.QueryResult> {
    const name = typeof statement.config === "object" ? statement.config.name : undefined;
    const renews = name !== undefined && name === profile.preparedName;
    const served = (durationMs: number): void => profile.took(durationMs);
    const taken = (connection: Connection): void => {
      if (renews) makeRoom(connection, name, this.#maxPrepared);
    };
    const found = afterward === undefined && this.#mayShare(statement, profile) ? this.#lane() : undefined;
    const lane = found instanceof Lane ? found : found && (await this.#opened(found, statement));
    if (lane) {
      taken(lane.connection);
      try {
        return await lane.run(statement, { served, renews });
      } catch (error) {
        // Behind the one the server answered with the end of the session: it never began, and has a retry for free.
        if (!(error instanceof StatementFailure && error.secondary && error.verdict.retry === "always")) throw error;
      }
    }
    return await this.#exclusive.execute(statement, afterward, { taken, served, renews });
  }

  #mayShare({ config, values, signal, timeoutMs }: Statement, profile: StatementProfile): boolean {
    if (!profile.shareable || profile.uses < 2 || profile.averageMs > slowMs) return false;
    if (signal !== undefined || timeoutMs !== false || this.#mostLanes === 0) return false;
    if (values !== undefined && !Array.isArray(values)) return false;
    return typeof config === "string" || !hasUnknownKeys(config);
  }

  /** The emptiest lane, or a new one where they are crowded; none when all are full or held up. */
  #lane(): Lane | Promise<Lane> | undefined {
    const now = performance.now();
    let best: Lane | undefined;
    for (const lane of this.#lanes) {
      if (lane.depth >= this.#maxDepth || lane.headMs(now) > slowMs || !this.#mayUse(lane)) continue;
      if (!best || lane.depth < best.depth) best = lane;
    }
    if (best && best.depth < crowded) return best;
    if (this.#opening) return best ?? this.#opening;
    if (this.#lanes.length >= this.#mostLanes) return best;
    const free = this.#connections.acquireNow({ borrowed: false });
    if (free) return this.#add(free);
    // While one has room, another connection is not worth waiting for, nor opening.
    return best ?? this.#open();
  }

  #mayUse(lane: Lane): boolean {
    return lane.usable && this.#connections.mayServe(lane.connection);
  }

  #open(): Promise<Lane> {
    this.#opening = this.#connections
      .acquire({ borrowed: false })
      .then((connection) => this.#add(connection))
      .finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** Undefined when the lane filled or broke before this statement's turn. */
  async #opened(opening: Promise<Lane>, statement: Statement): Promise<Lane | undefined> {
    let lane: Lane;
    try {
      lane = await opening;
    } catch (error) {
      throw new StatementFailure(error, classifyStatementError(error, undefined, statement));
    }
    if (this.#lanes.includes(lane) && lane.depth < this.#maxDepth && lane.usable) return lane;
    lane.closeEmpty();
    return undefined;
  }

  #add(connection: Connection): Lane {
    const lane = new Lane(connection, {
      host: this.#host,
      emptied: (empty, broken) => {
        const index = this.#lanes.indexOf(empty);
        if (index < 0) return;
        this.#lanes.splice(index, 1);
        this.#connections.release(empty.connection, broken);
      },
    });
    this.#lanes.push(lane);
    return lane;
  }
}
