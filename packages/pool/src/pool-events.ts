import type pg from "pg";
import type { BreakerState } from "./breaker.ts";
import type { LeakReport } from "./leak.ts";
import type { RunnerListener } from "./runner.ts";
import type { Failover, MembershipChange, TopologyListener } from "./topology.ts";

/** A statement that took at least `slowQueryThresholdMs`. */
export interface SlowQuery {
  /** Its text, literals replaced by `?`. */
  readonly statement: string;
  readonly durationMs: number;
  readonly server: string;
  readonly failed: boolean;
}

/** A connection that broke while application code held it: ended for its idleness, say, or by an operator. */
export interface LostConnection {
  readonly error: Error;
  /** Of `error`, where the server said why. */
  readonly sqlState: string | undefined;
  readonly server: string;
  readonly heldMs: number;
  /** Where it was checked out; known while leak reports are on. */
  readonly stack: string | undefined;
  /** The statement last sent through the pool's own calls, without literals. */
  readonly lastStatement: string | undefined;
}

/** The pool's own events, beside pg's `connect`, `acquire`, `release`, `remove` and `error`. */
export interface PoolEventMap {
  failover: [Failover];
  membership: [MembershipChange];
  "server-state": [{ server: string; from: string; to: string; reason: string | undefined }];
  breaker: [{ server: string; state: BreakerState }];
  leak: [LeakReport];
  "connection-lost": [LostConnection];
  "slow-query": [SlowQuery];
  retry: [Parameters<RunnerListener["retried"]>[0]];
}

/** What the engine tells its face. */
export interface PoolSignals extends TopologyListener, RunnerListener {
  connected(client: pg.PoolClient): void;
  acquired(client: pg.PoolClient): void;
  released(error: Error | boolean | undefined, client: pg.PoolClient): void;
  removed(client: pg.PoolClient): void;
  idleFailed(error: Error, client: pg.PoolClient): void;
  /** `client` is given when its borrower does not listen to its errors. */
  lentFailed(lost: LostConnection, client: pg.PoolClient | undefined): void;
  breakerChanged(of: { server: string; state: BreakerState }): void;
  leak(leak: LeakReport): void;
  slowQuery(query: SlowQuery): void;
}

/** Passes what the engine tells on as events. */
export function emitSignals(emitter: NodeJS.EventEmitter): PoolSignals {
  // In pg, an `error` nobody listens to ends the process; here the connection is simply replaced.
  const failed = (error: Error, client: pg.PoolClient): void => {
    Object.defineProperty(error, "client", { value: client, enumerable: false, configurable: true });
    if (emitter.listenerCount("error") > 0) emitter.emit("error", error, client);
  };
  return {
    connected: (client) => void emitter.emit("connect", client),
    acquired: (client) => void emitter.emit("acquire", client),
    released: (error, client) => void emitter.emit("release", error, client),
    removed: (client) => void emitter.emit("remove", client),
    idleFailed: failed,
    lentFailed: (lost, client) => {
      emitter.emit("connection-lost", lost);
      if (client) failed(lost.error, client);
    },
    membersChanged: (change) => void emitter.emit("membership", change),
    failedOver: (failover) => void emitter.emit("failover", failover),
    stateChanged: (change) => void emitter.emit("server-state", change),
    breakerChanged: (change) => void emitter.emit("breaker", change),
    leak: (leak) => void emitter.emit("leak", leak),
    slowQuery: (query) => void emitter.emit("slow-query", query),
    retried: (of) => void emitter.emit("retry", of),
  };
}
