import { type Database, quoteIdentifier } from "@db/core";

/** What a reset would remove, as plain JSON. */
export interface ResetPlan {
  readonly database: string;
  readonly schemas: readonly {
    readonly name: string;
    readonly tables: number;
    readonly bytes: number;
  }[];
  /** Made again afterwards, in the schema they were in where that is `public`. */
  readonly extensions: readonly string[];
}

const schemasSql = /* sql */ `
  select n.nspname as name, count(c.oid)::int as tables, coalesce(sum(pg_total_relation_size(c.oid)), 0)::float8 as bytes
    from pg_catalog.pg_namespace n
    left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'm')
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not exists (select from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
                      where d.objid = n.oid and d.deptype = 'e')
   group by n.nspname order by n.nspname`;

const extensionsSql = /* sql */ `
  select e.extname as name from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by e.oid`;

/** Tells what a reset removes. Reads only. */
export async function planReset(db: Database): Promise<ResetPlan> {
  const schemas = await db.query<{ name: string; tables: number; bytes: number }>(schemasSql);
  const extensions = await db.query<{ name: string }>(extensionsSql);
  const found = await db.query<{ name: string }>("select current_database() as name");
  return {
    database: found.rows[0]?.name ?? "",
    schemas: schemas.rows,
    extensions: extensions.rows.map(({ name }) => name),
  };
}

/**
 * Empties a database in one transaction: every schema of its users goes, the history of migrations with it; an empty
 * `public` and the extensions come back. Settings and rights of the database itself stay.
 */
export async function applyReset(db: Database, plan: ResetPlan): Promise<void> {
  await db.withTransaction(async (tx) => {
    for (const { name } of plan.schemas) await tx.query(`drop schema if exists ${quoteIdentifier(name)} cascade`);
    await tx.query("create schema if not exists public");
    await tx.query("grant usage on schema public to public");
    const version = await tx.query<{ version: number }>("select current_setting('server_version_num')::int as version");
    // Until PostgreSQL 15 everybody could create objects there.
    if ((version.rows[0]?.version ?? 0) < 150_000) await tx.query("grant create on schema public to public");
    for (const name of plan.extensions)
      await tx.query(`create extension if not exists ${quoteIdentifier(name)} schema public`);
  });
}
