import { type Queryable, sqlStateOf } from "@db/core";
import { sha256 } from "./checksum.ts";
import { CatalogBusyError } from "./errors.ts";

/** A column's type: the name PostgreSQL stores (`int4`, `varchar`), with its schema when it is no built-in. */
export interface SqlType {
  readonly name: string;
  /** Length, precision and scale as written: `[10, 2]`. */
  readonly mods: readonly number[];
  readonly array: boolean;
}

export interface CatalogColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly notNull: boolean;
  /** The default's expression as the server prints it; null without one. */
  readonly default: string | null;
  readonly generated: "stored" | "virtual" | null;
  readonly identity: boolean;
}

export interface CatalogConstraint {
  readonly name: string;
  readonly type: "check" | "foreign" | "unique" | "primary" | "exclusion" | "not-null" | "other";
  readonly columns: readonly string[];
  readonly validated: boolean;
  /** As `pg_get_constraintdef` prints it; empty for one that only a plan makes. */
  readonly definition: string;
  /** Qualified name of the table a foreign key points at. */
  readonly references: string | null;
}

export interface CatalogIndex {
  readonly name: string;
  /** Plain key columns in order; an expression stands as `null`. */
  readonly columns: readonly (string | null)[];
  readonly unique: boolean;
  readonly valid: boolean;
  /** True when a constraint owns it. */
  readonly constraint: boolean;
  readonly method: string;
  readonly partial: boolean;
  readonly definition: string;
}

export interface CatalogTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "view" | "materialized" | "foreign";
  /** Estimated rows; null when nothing is known of them. */
  readonly rows: number | null;
  readonly columns: readonly CatalogColumn[];
  readonly constraints: readonly CatalogConstraint[];
  readonly indexes: readonly CatalogIndex[];
  /** A hash of what has no place above: view definition, triggers, policies, partition bound. */
  readonly extra: string;
}

export interface CatalogType {
  readonly schema: string;
  readonly name: string;
  readonly kind: "enum" | "domain" | "composite" | "range" | "base";
  /** A domain's base type. */
  readonly base: SqlType | null;
  /** True for a domain with a CHECK or NOT NULL, its own or a base domain's. */
  readonly constrained: boolean;
  /** An enum's values in order. */
  readonly labels: readonly string[];
}

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  readonly volatile: boolean;
  /** Hash of arguments, result and body. */
  readonly hash: string;
}

/** What a plan knows of a database: user schemas only, without the history's own. */
export interface Catalog {
  /** As `server_version_num`: 180004. */
  readonly serverVersion: number;
  readonly timeZone: string;
  readonly searchPath: readonly string[];
  readonly tables: readonly CatalogTable[];
  readonly types: readonly CatalogType[];
  readonly functions: readonly CatalogFunction[];
  readonly sequences: readonly string[];
}

/** A database with nothing in it, for linting without one. Sizes unknown, PostgreSQL 18. */
export const emptyCatalog: Catalog = Object.freeze({
  serverVersion: 180_000,
  timeZone: "UTC",
  searchPath: ["public"],
  tables: [],
  types: [],
  functions: [],
  sequences: [],
});

// Definitions of views take a share lock on their tables, which behind a stuck ALTER TABLE would wait for ever.
// Printed names are qualified by the search path, so it is pinned for the fingerprint to be the same in every session.
const prepareSql = /* sql */ `
  select array_to_json(current_schemas(false))::text as path,
         set_config('search_path', 'pg_catalog', true),
         set_config('lock_timeout', '2s', true)`;

// One round trip. Extension members are left out except types, which columns use. Sizes come from pg_class where
// the table was ever vacuumed or analysed; the others, usually new and few, are measured.
const catalogSql = /* sql */ `
  with spaces as (
    select n.oid, n.nspname
      from pg_catalog.pg_namespace n
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> $1
  ), members as (
    select d.classid, d.objid from pg_catalog.pg_depend d where d.deptype = 'e'
  ), relations as (
    select c.*, s.nspname
      from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f')
       and not exists (select from members m where m.classid = 'pg_class'::regclass and m.objid = c.oid)
  ), columns as (
    select a.attrelid,
           json_agg(json_build_object(
             'name', a.attname,
             'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
             'base', case when n.nspname = 'pg_catalog' then t.typname else n.nspname || '.' || t.typname end,
             'array', e.oid is not null,
             'notNull', a.attnotnull,
             'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
             'generated', a.attgenerated,
             'identity', a.attidentity <> ''
           ) order by a.attnum) as list
      from pg_catalog.pg_attribute a
      join relations r on r.oid = a.attrelid
      left join pg_catalog.pg_type e on e.typarray = a.atttypid
      join pg_catalog.pg_type t on t.oid = coalesce(e.oid, a.atttypid)
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attnum > 0 and not a.attisdropped
     group by a.attrelid
  ), constraints as (
    select c.conrelid,
           json_agg(json_build_object(
             'name', c.conname,
             'type', c.contype,
             'columns', (select coalesce(json_agg(a.attname order by k.position), '[]')
                           from unnest(c.conkey) with ordinality as k(attnum, position)
                           join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum),
             'validated', c.convalidated,
             'definition', pg_catalog.pg_get_constraintdef(c.oid),
             'references', (select fn.nspname || '.' || f.relname
                              from pg_catalog.pg_class f join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
                             where f.oid = c.confrelid)
           ) order by c.conname) as list
      from pg_catalog.pg_constraint c join relations r on r.oid = c.conrelid
     group by c.conrelid
  ), indexes as (
    select i.indrelid,
           json_agg(json_build_object(
             'name', c.relname,
             'columns', (select coalesce(json_agg(a.attname order by k.position), '[]')
                           from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k(attnum, position)
                           left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                                                              and k.attnum > 0),
             'unique', i.indisunique,
             'valid', i.indisvalid,
             'constraint', exists (select from pg_catalog.pg_constraint o where o.conindid = i.indexrelid
                                      and o.contype in ('p', 'u', 'x')),
             'method', m.amname,
             'partial', i.indpred is not null,
             'definition', pg_catalog.pg_get_indexdef(i.indexrelid)
           ) order by c.relname) as list
      from pg_catalog.pg_index i
      join relations r on r.oid = i.indrelid
      join pg_catalog.pg_class c on c.oid = i.indexrelid
      join pg_catalog.pg_am m on m.oid = c.relam
     group by i.indrelid
  ), triggers as (
    select g.tgrelid, string_agg(pg_catalog.pg_get_triggerdef(g.oid) || g.tgenabled::text, ';' order by g.tgname) as text
      from pg_catalog.pg_trigger g join relations r on r.oid = g.tgrelid
     where not g.tgisinternal
     group by g.tgrelid
  ), policies as (
    select p.polrelid,
           string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::text,
             pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)),
             ';' order by p.polname) as text
      from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
     group by p.polrelid
  )
  select json_build_object(
    'serverVersion', current_setting('server_version_num')::int,
    'timeZone', current_setting('TimeZone'),
    'tables', (
      select coalesce(json_agg(json_build_object(
               'schema', r.nspname, 'name', r.relname, 'kind', r.relkind, 'rows', r.reltuples,
               'bytes', case when r.reltuples < 0 and r.relkind in ('r', 'm') then pg_catalog.pg_relation_size(r.oid) end,
               'columns', coalesce(c.list, '[]'), 'constraints', coalesce(k.list, '[]'),
               'indexes', coalesce(i.list, '[]'),
               'extra', md5(concat_ws('|', r.relrowsecurity, r.relforcerowsecurity, r.relpersistence, r.reloptions::text,
                 pg_catalog.pg_get_expr(r.relpartbound, r.oid), pg_catalog.pg_get_partkeydef(r.oid), t.text, p.text,
                 case when r.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(r.oid) end))
             ) order by r.nspname, r.relname), '[]')
        from relations r
        left join columns c on c.attrelid = r.oid
        left join constraints k on k.conrelid = r.oid
        left join indexes i on i.indrelid = r.oid
        left join triggers t on t.tgrelid = r.oid
        left join policies p on p.polrelid = r.oid),
    'types', (
      select coalesce(json_agg(json_build_object(
               'schema', s.nspname, 'name', t.typname, 'kind', t.typtype,
               'base', pg_catalog.format_type(t.typbasetype, t.typtypmod),
               'baseName', case when bn.nspname = 'pg_catalog' then b.typname else bn.nspname || '.' || b.typname end,
               'constrained', t.typnotnull or exists (select from pg_catalog.pg_constraint o where o.contypid = t.oid),
               'labels', (select coalesce(json_agg(l.enumlabel order by l.enumsortorder), '[]')
                            from pg_catalog.pg_enum l where l.enumtypid = t.oid)
             ) order by s.nspname, t.typname), '[]')
        from pg_catalog.pg_type t
        join spaces s on s.oid = t.typnamespace
        left join pg_catalog.pg_type b on b.oid = t.typbasetype
        left join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
       where t.typcategory <> 'A'
         and (t.typrelid = 0 or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))),
    'functions', (
      select coalesce(json_agg(json_build_object(
               'schema', s.nspname, 'name', f.proname, 'volatile', f.provolatile = 'v',
               'hash', md5(concat_ws('|', pg_catalog.pg_get_function_identity_arguments(f.oid),
                 pg_catalog.pg_get_function_result(f.oid), f.prosrc, f.provolatile, f.prosecdef, f.proconfig::text)))
             order by s.nspname, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)), '[]')
        from pg_catalog.pg_proc f join spaces s on s.oid = f.pronamespace),
    'sequences', (
      select coalesce(json_agg(s.nspname || '.' || c.relname order by s.nspname, c.relname), '[]')
        from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
       where c.relkind = 'S'
         and not exists (select from members m where m.classid = 'pg_class'::regclass and m.objid = c.oid))
  )::text as catalog`;

/**
 * Reads the catalog. Runs in the caller's session, in a transaction of its own.
 * @throws {CatalogBusyError} when a table stays locked exclusively for two seconds
 */
export async function collectCatalog(session: Queryable, historySchema: string): Promise<Catalog> {
  await session.query("begin transaction read only");
  try {
    const path = await session.query<{ path: string }>(prepareSql);
    const { rows } = await session.query<{ catalog: string }>(catalogSql, [historySchema]);
    const raw = JSON.parse(rows[0]?.catalog ?? "{}") as Omit<RawCatalog, "searchPath">;
    return readCatalog({ ...raw, searchPath: JSON.parse(path.rows[0]?.path ?? "[]") as string[] });
  } catch (error) {
    if (sqlStateOf(error) !== "55P03") throw error;
    throw new CatalogBusyError("the catalog could not be read within 2 s: a table is locked exclusively", {
      cause: error,
      hint: "Find the session that holds the lock in pg_locks, wait for it or end it, then try again.",
    });
  } finally {
    // Ends a read-only transaction: whichever way, nothing changes.
    await session.query("rollback").catch(() => undefined);
  }
}

/** SHA-256 over everything a migration could change, sizes and settings left out. */
export function fingerprintCatalog(catalog: Catalog): string {
  const { tables, types, functions, sequences } = catalog;
  return sha256(JSON.stringify([tables.map(({ rows: _rows, ...table }) => table), types, functions, sequences]));
}

interface RawCatalog extends Omit<Catalog, "tables" | "types"> {
  readonly tables: readonly RawTable[];
  readonly types: readonly RawType[];
}

interface RawTable extends Omit<CatalogTable, "columns" | "constraints" | "kind"> {
  readonly kind: string;
  readonly bytes: number | null;
  readonly columns: readonly {
    name: string;
    type: string;
    base: string;
    array: boolean;
    notNull: boolean;
    default: string | null;
    generated: string;
    identity: boolean;
  }[];
  readonly constraints: readonly (Omit<CatalogConstraint, "type"> & { readonly type: string })[];
}

interface RawType extends Omit<CatalogType, "base" | "kind"> {
  readonly kind: string;
  readonly base: string;
  readonly baseName: string | null;
}

const tableKinds: Readonly<Record<string, CatalogTable["kind"]>> = {
  r: "table",
  p: "partitioned",
  v: "view",
  m: "materialized",
  f: "foreign",
};
const constraintTypes: Readonly<Record<string, CatalogConstraint["type"]>> = {
  c: "check",
  f: "foreign",
  u: "unique",
  p: "primary",
  x: "exclusion",
  n: "not-null",
};
const typeKinds: Readonly<Record<string, CatalogType["kind"]>> = { e: "enum", d: "domain", c: "composite", r: "range" };

function readCatalog(raw: RawCatalog): Catalog {
  return {
    ...raw,
    tables: raw.tables.map(({ bytes, ...table }) => ({
      ...table,
      kind: tableKinds[table.kind] ?? "table",
      // A hundred bytes a row is a guess that only has to tell small from large.
      rows: (table.rows ?? -1) >= 0 ? table.rows : bytes === null ? null : Math.round(bytes / 100),
      columns: table.columns.map((column) => ({
        name: column.name,
        type: { name: column.base, mods: modsOf(column.type), array: column.array },
        notNull: column.notNull,
        default: column.default,
        generated: column.generated === "s" ? "stored" : column.generated === "v" ? "virtual" : null,
        identity: column.identity,
      })),
      constraints: table.constraints.map((constraint) => ({
        ...constraint,
        type: constraintTypes[constraint.type] ?? "other",
      })),
    })),
    types: raw.types.map(({ baseName, ...type }) => ({
      ...type,
      kind: typeKinds[type.kind] ?? "base",
      base: baseName === null ? null : { name: baseName, mods: modsOf(type.base), array: type.base.endsWith("[]") },
    })),
  };
}

function modsOf(formatted: string): number[] {
  const list = /\((-?\d+(?:,-?\d+)*)\)/.exec(formatted)?.[1];
  return list ? list.split(",").map(Number) : [];
}
