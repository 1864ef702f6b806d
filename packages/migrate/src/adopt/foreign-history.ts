import { type Queryable, quoteQualified } from "@db/core";
import type { ForeignHistory } from "./foreign-tool.ts";
import { foreignToolsByName } from "./registry.ts";

// One cheap query: the names a history may have, or the columns that only Flyway's has, which may be called anything.
const candidatesSql = /* sql */ `
  select n.nspname as schema, c.relname as table, array_agg(a.attname::text) as columns
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and (c.relname in ('__drizzle_migrations', '_prisma_migrations', 'knex_migrations', 'schema_migrations', 'pgmigrations',
                        '__diesel_schema_migrations')
          or c.relname = 'changes' and n.nspname = 'sqitch'
          or exists (select from pg_catalog.pg_attribute f where f.attrelid = c.oid and f.attname = 'installed_rank'))
   group by 1, 2
   order by 1, 2`;

/** Histories of other tools in a database. */
export async function findForeignHistories(session: Queryable): Promise<ForeignHistory[]> {
  const { rows } = await session.query<{ schema: string; table: string; columns: string[] }>(candidatesSql);
  const found: ForeignHistory[] = [];
  for (const { schema, table, columns } of rows) {
    const names = new Set(columns);
    const tool = Object.values(foreignToolsByName).find((one) => one.isHistory(table, names));
    if (!tool) continue;
    const content = await tool.readHistory(session, quoteQualified(schema, table), names);
    found.push({ tool: tool.name, table: `${schema}.${table}`, ...content });
  }
  return found;
}
