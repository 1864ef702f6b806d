import type { Queryable } from "@db/core";
import type { PlannedStatement } from "./plan.ts";

type ConcurrentIndex = NonNullable<PlannedStatement["index"]>;

/** An index as the catalog has it; null when it has none of the name. */
interface FoundIndex {
  /** Quoted and qualified. */
  readonly qualified: string;
  readonly valid: boolean;
  /** True while another session is building it. */
  readonly building: boolean;
}

// A name in CREATE INDEX has no schema: it is the table's. In DROP INDEX it may have one.
const findSql = /* sql */ `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as qualified, i.indisvalid as valid,
         exists (select from pg_catalog.pg_locks l
                  where l.relation = i.indexrelid and l.granted and l.pid <> pg_backend_pid()
                    and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'AccessExclusiveLock')
                    and exists (select from pg_catalog.pg_stat_activity a
                                 where a.pid = l.pid and a.query ~* '^\\s*(/[*].*?[*]/\\s*)?(create|reindex|drop)')) as building
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where case when $2::text is null then c.oid = to_regclass($1)
              else i.indrelid = to_regclass($2) and c.relname = (parse_ident($1))[1] end`;

async function find(session: Queryable, index: ConcurrentIndex): Promise<FoundIndex | null> {
  const { rows } = await session.query<FoundIndex>(findSql, [index.name, index.table]);
  return rows[0] ?? null;
}

/** Whether the statement has nothing left to do: the index is there and valid, or gone. */
export async function isIndexSettled(session: Queryable, index: ConcurrentIndex): Promise<boolean> {
  const found = await find(session, index);
  return index.action === "drop" ? found === null : found?.valid === true;
}

/**
 * Removes what a build cut short has left: an index that every write maintains, no query uses, and that
 * `if not exists` would take for a good one.
 * @returns whether there was one
 */
export async function dropInvalidIndex(session: Queryable, index: ConcurrentIndex): Promise<boolean> {
  if (index.action !== "create") return false;
  const found = await find(session, index);
  if (!found || found.valid || found.building) return false;
  await session.query(`drop index concurrently if exists ${found.qualified}`);
  return true;
}
