import type { PGlite, Transaction } from "@electric-sql/pglite";
import type pg from "pg";
import { type DatabaseLike, type Queryable, toDatabase } from "../src/index.ts";

// Compiled by `npm run typecheck`: a driver that stops fitting the seam fails the build here.
declare const pool: pg.Pool;
declare const client: pg.Client;
declare const checkedOut: pg.PoolClient;
declare const pglite: PGlite;
declare const pgliteTransaction: Transaction;

export const queryables: readonly Queryable[] = [pool, client, checkedOut, pglite, pgliteTransaction];
export const databases: readonly DatabaseLike[] = [pool, client, pglite, toDatabase(pool)];
// @ts-expect-error a plain object is no database
export const wrong: DatabaseLike = { sql: () => undefined };
