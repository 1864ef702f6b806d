import type pg from "pg";
import type { BreakerState } from "./breaker.ts";
import type { LeakReport } from "./leak.ts";
import type { RunnerListener } from "./runner.ts";
import type { Failover, TopologyListener } from "./topology.ts";

/** A statement that took at least `slowQueryThresholdMs`. */
export interface SlowQuery {
  /** Its text, literals replaced by `?`. */
  readonly statement: string;
  readonly durationMs: number;
  readonly server: string;
  readonly failed: boolean;
}

/** The pool's own events, beside pg's `connect`, `acquire`, `release`, `remove` and `error`. */
export interface PoolEventMap {
  failover: [Failover];
  "server-state": [{ server: string; from: string; to: string; reason: string | undefined }];
  breaker: [{ server: string; state: BreakerState }];
  leak: [LeakReport];
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
  breakerChanged(of: { server: string; state: BreakerState }): void;
  leak(leak: LeakReport): void;
  slowQuery(query: SlowQuery): void;
}

/** Passes what the engine tells on as events. */
export function emitSignals(emitter: NodeJS.EventEmitter): PoolSignals {
  return {
    connected: (client) => void emitter.emit("connect", client),
    acquired: (client) => void emitter.emit("acquire", client),
    released: (error, client) => void emitter.emit("release", error, client),
    removed: (client) => void emitter.emit("remove", client),
    // In pg, an `error` nobody listens to ends the process; here the connection is simply replaced.
    idleFailed: (error, client) => {
      Object.defineProperty(error, "client", { value: client, enumerable: false, configurable: true });
      if (emitter.listenerCount("error") > 0) emitter.emit("error", error, client);
    },
    failedOver: (failover) => void emitter.emit("failover", failover),
    stateChanged: (change) => void emitter.emit("server-state", change),
    breakerChanged: (change) => void emitter.emit("breaker", change),
    leak: (leak) => void emitter.emit("leak", leak),
    slowQuery: (query) => void emitter.emit("slow-query", query),
    retried: (of) => void emitter.emit("retry", of),
  };
}
