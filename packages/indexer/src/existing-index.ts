import type { Queryable } from "@db/core";
import type { IndexDefinition } from "./definition.ts";
import { IndexNameTakenError } from "./errors.ts";

const findSql = /* sql */ `
  select c.relkind = 'I' as partitioned, i.indisvalid and i.indisready as valid, i.indisunique as unique,
         i.indpred is not null as partial,
         pg_catalog.pg_relation_size(i.indexrelid)::float8 as bytes, am.amname as method, t.relname as table,
         array(select case when i.indkey[g.k] <> 0
                           then (select a.attname::text from pg_catalog.pg_attribute a
                                  where a.attrelid = i.indrelid and a.attnum = i.indkey[g.k]) end
                 from generate_series(0, i.indnkeyatts - 1) g (k)) as columns
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_am am on am.oid = c.relam
   where n.nspname = $1 and c.relname = $2`;

/** An index found by its name. */
export interface FoundIndex {
  /** The index of a partitioned table: one name over the indexes of its partitions. */
  readonly partitioned: boolean;
  readonly valid: boolean;
  readonly unique: boolean;
  readonly partial: boolean;
  readonly bytes: number;
  readonly method: string;
  readonly table: string;
  /** Null where the key is an expression. */
  readonly columns: readonly (string | null)[];
}

/** Looks an index up by its name; undefined when there is none. */
export async function findIndex(session: Queryable, schema: string, name: string): Promise<FoundIndex | undefined> {
  return (await session.query<FoundIndex>(findSql, [schema, name])).rows[0];
}

/** @throws {IndexNameTakenError} when the index found is not the one defined */
export function refuseOther(found: FoundIndex, definition: IndexDefinition): void {
  const describe = (index: Omit<FoundIndex, "valid" | "bytes" | "partitioned">): string =>
    JSON.stringify([index.table, index.method, index.unique, index.partial, index.columns]);
  const wanted = {
    table: definition.table,
    method: definition.method ?? "btree",
    unique: definition.unique === true,
    partial: definition.where !== undefined,
    columns: definition.keys.map((key) => key.column ?? null),
  };
  if (describe(found) === describe(wanted)) return;
  throw new IndexNameTakenError(`index ${definition.name} is there already and is another one`, {
    hint: "Give the new index another name, or drop the old one.",
  });
}
