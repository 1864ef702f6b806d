import type pg from "pg";
import type { Connection } from "./connection.ts";
import { Histogram } from "./histogram.ts";

/** What the connections of a server tell the pool; the first four are pg's own events. */
export interface ConnectionsListener {
  connected(client: pg.PoolClient): void;
  acquired(client: pg.PoolClient): void;
  released(error: Error | boolean | undefined, client: pg.PoolClient): void;
  removed(client: pg.PoolClient): void;
  idleFailed(error: Error, connection: Connection): void;
  /** A connection broke while somebody holds it. `heard`: whether the borrower listens to errors of its own. */
  lentFailed(error: Error, connection: Connection, heard: boolean): void;
  lent(connection: Connection): void;
  returned(connection: Connection): void;
  /** A command may have changed what prepared statements mean. */
  schemaChanged(): void;
  /** The server sent what is no message of the protocol; the connection is closed. */
  garbled(connection: Connection): void;
  /** A borrower gave the connection back inside a transaction; it was rolled back. */
  leftOpen(connection: Connection): void;
}

/** What the connections of one server have done so far. */
export interface ConnectionCounters {
  opened: number;
  closed: number;
  openFailed: number;
  acquireTimeouts: number;
  readonly createMs: Histogram;
  readonly waitMs: Histogram;
  readonly useMs: Histogram;
}

export function newConnectionCounters(): ConnectionCounters {
  return {
    opened: 0,
    closed: 0,
    openFailed: 0,
    acquireTimeouts: 0,
    createMs: new Histogram(),
    waitMs: new Histogram(),
    useMs: new Histogram(),
  };
}
