import { type Database, type DatabaseLike, type Service, toDatabase } from "@db/core";
import { createPool, type Pool, type Transaction } from "@db/pool";
import type pg from "pg";

// Compiles, and that is the test: the pool is what each of these asks for.
declare const pool: Pool;
export const asPg: pg.Pool = pool;
export const asDatabase: Database = pool;
export const asDatabaseLike: DatabaseLike = pool;
export const asService: Service = pool;
export const throughToDatabase: Database = toDatabase(pool);
export const views: readonly Database[] = [pool.primary, pool.replica, pool.session()];
declare const tx: Transaction;
export const asNested: DatabaseLike = tx;

interface Bill {
  readonly id: number;
}
export async function typed(): Promise<number | undefined> {
  const { rows } = await pool.query<Bill>("select id from bill where id = $1", [1], { target: "replica" });
  const byName = await pool.query<Bill>({ name: "bill", text: "select id from bill" });
  return rows[0]?.id ?? byName.rows[0]?.id;
}

// @ts-expect-error the primary's URL is the one option nobody can do without
createPool({ max: 3 });
