import { type Queryable, quoteLiteral, quoteQualified } from "@db/core";

/** One row of drizzle's own history. */
export interface DrizzleHistoryRow {
  /** SHA-256 of the whole file. */
  readonly hash: string;
  /** The journal's `when`. */
  readonly createdAt: number;
}

/** drizzle's history as found in a database. */
export interface DrizzleHistory {
  readonly schema: string;
  readonly rows: readonly DrizzleHistoryRow[];
}

const findSql = /* sql */ `
  select n.nspname as schema
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relname = '__drizzle_migrations' and c.relkind = 'r'
   order by n.nspname <> 'drizzle', n.nspname
   limit 1`;

/** Reads `__drizzle_migrations`, in schema `drizzle` or wherever it is; null when there is none. */
export async function readDrizzleHistory(session: Queryable): Promise<DrizzleHistory | null> {
  const found = await session.query<{ schema: string }>(findSql);
  const schema = found.rows[0]?.schema;
  if (schema === undefined) return null;
  const table = quoteQualified(schema, "__drizzle_migrations");
  const { rows } = await session.query<DrizzleHistoryRow>(
    `select hash, created_at::float8 as "createdAt" from ${table} order by created_at, id`,
  );
  return { schema, rows };
}

/** Keeps drizzle's own history true, so that its tools may still be used on the same database. */
export async function writeDrizzleRow(
  session: Queryable,
  schema: string,
  row: { readonly hash: string; readonly when: number },
): Promise<void> {
  const table = quoteQualified(schema, "__drizzle_migrations");
  await session.query(`insert into ${table} (hash, created_at) values ($1, $2)`, [row.hash, row.when]);
}

/** The same as a statement without values. */
export function drizzleRowSql(schema: string, row: { readonly hash: string; readonly when: number }): string {
  const table = quoteQualified(schema, "__drizzle_migrations");
  return `insert into ${table} (hash, created_at) values (${quoteLiteral(row.hash)}, ${row.when})`;
}

export async function deleteDrizzleRow(
  session: Queryable,
  schema: string,
  row: { readonly hash: string; readonly when: number },
): Promise<void> {
  const table = quoteQualified(schema, "__drizzle_migrations");
  await session.query(`delete from ${table} where hash = $1 or created_at = $2`, [row.hash, row.when]);
}
