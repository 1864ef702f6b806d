import { type Database, type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import { PreparedStatements } from "./prepared.ts";
import type { SessionIdentity } from "./session.ts";

/** A connection to another database of a server, made by whoever knows how. */
export interface OwnedDatabase {
  readonly db: DatabaseLike;
  close(): Promise<void>;
}

/** A database of a server being watched. */
export interface WatchedDatabase {
  readonly db: Database;
  readonly prepared: PreparedStatements;
  /** What sessions of the monitor's own were when they were last used. */
  readonly own: WeakMap<Queryable, SessionIdentity>;
  /** Its name, where the server told of it. */
  readonly found?: string;
  readonly close?: () => Promise<void>;
}

/** More than these are not watched; the largest part of what many databases hold lies in few of them. */
const mostFound = 50;

const namesSql = /* sql */ `
  select datname::text as name from pg_catalog.pg_database d
   where datallowconn and not datistemplate and datname <> current_database()
     and pg_catalog.has_database_privilege(oid, 'connect')
   order by oid limit ${mostFound}`;

export function watch(db: DatabaseLike): WatchedDatabase {
  return { db: toDatabase(db), prepared: new PreparedStatements(), own: new WeakMap() };
}

/** The databases there are now: those known stay as they are, new ones are connected to, gone ones are closed. */
export async function findDatabases(
  session: Queryable,
  known: readonly WatchedDatabase[],
  connect: (name: string) => OwnedDatabase,
): Promise<readonly WatchedDatabase[]> {
  const { rows } = await session.query<{ name: string }>(namesSql);
  const names = new Set(rows.map(({ name }) => name));
  const gone = known.filter(({ found }) => found !== undefined && !names.has(found));
  await Promise.allSettled(gone.map(async (each) => each.close?.()));
  const kept = known.filter((each) => !gone.includes(each));
  const found = new Set(kept.map((each) => each.found));
  return [
    ...kept,
    ...[...names]
      .filter((name) => !found.has(name))
      .map((name) => {
        const owned = connect(name);
        return { ...watch(owned.db), found: name, close: () => owned.close() };
      }),
  ];
}
