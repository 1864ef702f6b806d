import type pg from "pg";
import type { Connection } from "./connection.ts";
import type { Server } from "./server.ts";

/** Where a client that application code holds belongs: what is needed to cancel on the right server. */
export interface ClientHome {
  readonly connection: Connection;
  readonly server: Server;
}

const homes = new WeakMap<object, ClientHome>();

export function registerClient(client: pg.PoolClient, home: ClientHome): void {
  // A client may be lent again and again, its connection never moves.
  if (!homes.has(client)) homes.set(client, home);
}

/** A handle of one borrower tells its home by this: one entry for each of them here would cost more than the handle. */
export const homeKey: unique symbol = Symbol("home");

export function homeOf(client: pg.PoolClient): ClientHome | undefined {
  return homes.get(client) ?? (client as { readonly [homeKey]?: ClientHome })[homeKey];
}
