import type { Queryable } from "@db/core";

/** A column, as far as rules need it. */
export interface CatalogColumn {
  readonly name: string;
  /** As `format_type` prints it: `character varying(255)`. */
  readonly type: string;
  /** PostgreSQL's category of the type: `N` numeric, `S` string, `D` date, `B` boolean, `E` enum, `A` array. */
  readonly category: string;
  /** A NOT NULL that holds for every row, not one added NOT VALID (18). */
  readonly notNull: boolean;
  /** Labels in their order, for an enum. */
  readonly enumLabels: readonly string[] | null;
}

/** A unique index that proves uniqueness: valid, immediate, whole table, plain columns. */
export interface CatalogUnique {
  readonly name: string;
  readonly columns: readonly string[];
}

/** A foreign key. */
export interface CatalogForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly referencesSchema: string;
  readonly referencesTable: string;
  readonly referencesColumns: readonly string[];
  readonly columnTypes: readonly string[];
  readonly referencesTypes: readonly string[];
  /** True when the server vouches for every row: validated, and enforced (18). */
  readonly validated: boolean;
}

/** A CHECK constraint. */
export interface CatalogCheck {
  readonly name: string;
  /** As `pg_get_constraintdef` prints it. */
  readonly definition: string;
  readonly validated: boolean;
}

/** A table, view, materialized view or foreign table. */
export interface CatalogTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "partition" | "view" | "materialized-view" | "foreign";
  /** Found by its bare name through the search path. */
  readonly visible: boolean;
  /** Has inheritance children, so that its own constraints do not speak for every row read through it. */
  readonly inherited: boolean;
  readonly unlogged: boolean;
  /** The planner's estimate; 0 when never analysed. */
  readonly estimatedRows: number;
  readonly columns: readonly CatalogColumn[];
  readonly primaryKey: readonly string[];
  readonly uniques: readonly CatalogUnique[];
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly checks: readonly CatalogCheck[];
}

/** Everything outside the system schemas that rules can speak about. Plain data. */
export interface Catalog {
  /** `server_version_num`: 180004. */
  readonly serverVersion: number;
  readonly tables: readonly CatalogTable[];
}

// Objects of extensions belong to the extension; temporary tables belong to other sessions.
const relationsSql = /* sql */ `
  select c.oid::text                        as id,
         n.nspname                          as schema,
         c.relname                          as name,
         case when c.relispartition and c.relkind = 'r' then 'partition'
              when c.relkind = 'r' then 'table'
              when c.relkind = 'p' then 'partitioned'
              when c.relkind = 'v' then 'view'
              when c.relkind = 'm' then 'materialized-view'
              else 'foreign' end            as kind,
         pg_catalog.pg_table_is_visible(c.oid) as visible,
         c.relkind = 'r' and c.relhassubclass  as inherited,
         c.relpersistence = 'u'             as unlogged,
         greatest(c.reltuples, 0)::float8   as "estimatedRows"
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and c.relpersistence <> 't'
     and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
     and not exists (select from pg_catalog.pg_depend d
                      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
   order by n.nspname, c.relname`;

// Before 18 a NOT NULL is no constraint of its own; since 18 it may be one that was never validated.
const columnsSql = /* sql */ `
  select a.attrelid::text                                   as id,
         a.attname                                          as name,
         pg_catalog.format_type(a.atttypid, a.atttypmod)    as type,
         t.typcategory::text                                as category,
         a.attnotnull and not exists (
           select from pg_catalog.pg_constraint k
            where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum] and not k.convalidated
         )                                                  as "notNull",
         (select array_agg(e.enumlabel::text order by e.enumsortorder)
            from pg_catalog.pg_enum e where e.enumtypid = t.oid) as "enumLabels"
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
   where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
   order by a.attrelid, a.attnum`;

const indexesSql = /* sql */ `
  select i.indrelid::text as id,
         c.relname        as name,
         i.indisprimary   as "primary",
         (select array_agg(a.attname::text order by k.position)
            from unnest(i.indkey[0 : i.indnkeyatts - 1]) with ordinality as k (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum) as columns
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
   where i.indrelid = any ($1::oid[])
     and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
   order by i.indrelid, c.relname`;

// conenforced exists since 18; through to_jsonb the same text runs everywhere.
const constraintsSql = /* sql */ `
  select k.conrelid::text as id,
         k.conname        as name,
         k.contype::text  as kind,
         k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) as validated,
         pg_catalog.pg_get_constraintdef(k.oid) as definition,
         fn.nspname       as "referencesSchema",
         fc.relname       as "referencesTable",
         (select array_agg(a.attname::text order by x.position)
            from unnest(k.conkey) with ordinality as x (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum) as columns,
         (select array_agg(pg_catalog.format_type(a.atttypid, null) order by x.position)
            from unnest(k.conkey) with ordinality as x (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum) as types,
         (select array_agg(a.attname::text order by x.position)
            from unnest(k.confkey) with ordinality as x (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.attnum) as "referencesColumns",
         (select array_agg(pg_catalog.format_type(a.atttypid, null) order by x.position)
            from unnest(k.confkey) with ordinality as x (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.attnum) as "referencesTypes"
    from pg_catalog.pg_constraint k
    left join pg_catalog.pg_class fc on fc.oid = k.confrelid
    left join pg_catalog.pg_namespace fn on fn.oid = fc.relnamespace
   where k.conrelid = any ($1::oid[]) and k.contype in ('f', 'c')
   order by k.conrelid, k.conname`;

type RelationRow = Omit<CatalogTable, "columns" | "primaryKey" | "uniques" | "foreignKeys" | "checks"> & { id: string };
type ColumnRow = CatalogColumn & { id: string };
type IndexRow = { id: string; name: string; primary: boolean; columns: string[] };
type ConstraintRow = {
  id: string;
  name: string;
  kind: "f" | "c";
  validated: boolean;
  definition: string;
  referencesSchema: string;
  referencesTable: string;
  columns: string[] | null;
  types: string[] | null;
  referencesColumns: string[];
  referencesTypes: string[];
};

/** Reads the catalog in five statements, whatever the number of tables. */
export async function readCatalog(db: Queryable): Promise<Catalog> {
  const version = await db.query<{ version: string }>("select current_setting('server_version_num') as version");
  const relations = (await db.query<RelationRow>(relationsSql)).rows;
  const ids = `{${relations.map((row) => row.id).join(",")}}`;
  const columns = Object.groupBy((await db.query<ColumnRow>(columnsSql, [ids])).rows, (row) => row.id);
  const indexes = Object.groupBy((await db.query<IndexRow>(indexesSql, [ids])).rows, (row) => row.id);
  const constraints = Object.groupBy((await db.query<ConstraintRow>(constraintsSql, [ids])).rows, (row) => row.id);
  return {
    serverVersion: Number(version.rows[0]?.version),
    tables: relations.map(({ id, ...relation }) => ({
      ...relation,
      columns: (columns[id] ?? []).map(column),
      primaryKey: indexes[id]?.find((row) => row.primary)?.columns ?? [],
      uniques: (indexes[id] ?? []).map(({ name, columns }) => ({ name, columns })),
      foreignKeys: (constraints[id] ?? []).filter((row) => row.kind === "f").map(foreignKey),
      checks: (constraints[id] ?? [])
        .filter((row) => row.kind === "c")
        .map(({ name, definition, validated }) => ({ name, definition, validated })),
    })),
  };
}

function column({ name, type, category, notNull, enumLabels }: ColumnRow): CatalogColumn {
  return { name, type, category, notNull, enumLabels };
}

function foreignKey(row: ConstraintRow): CatalogForeignKey {
  return {
    name: row.name,
    columns: row.columns ?? [],
    referencesSchema: row.referencesSchema,
    referencesTable: row.referencesTable,
    referencesColumns: row.referencesColumns,
    columnTypes: row.types ?? [],
    referencesTypes: row.referencesTypes,
    validated: row.validated,
  };
}
