import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import { MigrationOptionsError } from "./errors.ts";
import type { CreatedMigration } from "./migration-template.ts";

/** A column to add, or to give another type, name or meaning, while old and new application versions run. */
export interface ColumnChange {
  /** As SQL names it: `app.users`. */
  readonly table: string;
  /** The column as it is now, or to be added. */
  readonly column: string;
  /** Whether `column` is there already. */
  readonly kind: "add" | "change";
  /** What the column is called afterwards. Default: as now. Only for a change. */
  readonly rename?: string;
  /** Its type afterwards. Default: as now. Needed to add one. */
  readonly type?: string;
  /** SQL over the row's columns that gives the new value. Default, for a change: the old value cast to the type. */
  readonly up?: string;
  /** SQL over the row's columns that gives the old value; the new one goes by `new_value`. Only for a change. */
  readonly down?: string;
  /** Whether it is NOT NULL afterwards. Default, for a change: as now. */
  readonly notNull?: boolean;
}

/** What the catalog says of the table; `columnChangeSql` needs nothing else. */
export interface ChangedTable {
  readonly schema: string;
  readonly name: string;
  /** In their order, as the server prints their types. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly notNull: boolean }[];
  /** Columns of the primary key. */
  readonly key: readonly string[];
  /** Indexes, constraints, views and the default of the changed column, which a new column does not have. */
  readonly dependents: readonly string[];
  /** `grant … to …` for the view, from the table's own rights. */
  readonly grants: readonly { readonly privileges: string; readonly role: string }[];
  readonly serverVersion: number;
}

/** Where the written file goes. */
export interface ColumnChangeOptions {
  readonly directory: string;
  /** Words for the file name. */
  readonly name: string;
  /** Only tell the name and the text. Default false. */
  readonly dryRun?: boolean;
}

/** A written change of a column. */
export interface CreatedColumnChange extends CreatedMigration {
  /** What the new application version puts first in its search_path; null when nothing of the old shape changes. */
  readonly viewSchema: string | null;
  /** What uses the old column and is for the author to make on the new one. */
  readonly notCarriedOver: readonly string[];
}

/**
 * Writes an online migration for a column: expand, backfill, contract, cancel and down, with a trigger that keeps old
 * and new alike meanwhile and, for a change, a schema with a view in which the new application version sees the table
 * as it will be. The file is plain SQL: read it, change it, then run it phase by phase.
 * @throws {MigrationOptionsError} with every contradiction: no such table or column, no primary key
 */
export async function createColumnChange(
  db: DatabaseLike,
  change: ColumnChange,
  options: ColumnChangeOptions,
): Promise<CreatedColumnChange> {
  const table = await toDatabase(db).withSession((session) => readChangedTable(session, change));
  const problems = changeProblems(change, table);
  if (!table || problems.length > 0) throw new MigrationOptionsError(problems.join("; "));
  const { columnChangeSql } = await import("./column-change-sql.ts");
  const { nextMigrationId } = await import("./migration-template.ts");
  const id = await nextMigrationId(options.directory, options.name);
  const version = /^\d+/.exec(id)?.[0] ?? "";
  const viewSchema = change.kind === "add" ? null : `${table.schema}_v${version}`;
  const content = columnChangeSql(change, table, { suffix: version, viewSchema });
  const file = join(options.directory, `${id}.sql`);
  if (options.dryRun !== true) {
    await mkdir(options.directory, { recursive: true });
    await writeFile(file, content, { flag: "wx" });
  }
  return { id, file, content, written: options.dryRun !== true, viewSchema, notCarriedOver: table.dependents };
}

/** Everything that speaks against a change, one sentence each. Pure. */
export function changeProblems(change: ColumnChange, table: ChangedTable | null): string[] {
  if (!table) return [`there is no table ${change.table}`];
  const problems: string[] = [];
  const there = table.columns.find(({ name }) => name === change.column);
  const named = `${table.schema}.${table.name}`;
  if (table.key.length === 0) problems.push(`${named} has no primary key to walk along`);
  if (change.kind === "add") {
    if (there) problems.push(`${named} has a column ${change.column} already`);
    if (change.type === undefined) problems.push("a column to add needs its type");
    if (change.up === undefined)
      problems.push("a column to add needs the SQL of its value; without one use ADD COLUMN");
    if (change.rename !== undefined || change.down !== undefined) problems.push("rename and down belong to a change");
    return problems;
  }
  if (!there) problems.push(`${named} has no column ${change.column}`);
  if (change.rename !== undefined && table.columns.some(({ name }) => name === change.rename)) {
    problems.push(`${named} has a column ${change.rename} already`);
  }
  if (change.type === undefined && change.rename === undefined && change.up === undefined) {
    problems.push("nothing is changed: give a type, a name or the SQL of the new value");
  }
  if (change.up !== undefined && change.down === undefined) {
    problems.push("the SQL that gives the old value from the new one (down) is missing");
  }
  return problems;
}

const tableSql = /* sql */ `
  select n.nspname as schema, c.relname as name, current_setting('server_version_num')::int as "serverVersion",
         (select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                                                     'notNull', a.attnotnull) order by a.attnum), '[]')
            from pg_catalog.pg_attribute a
           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
         (select coalesce(json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum)), '[]')
            from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
           where i.indrelid = c.oid and i.indisprimary) as key,
         (select coalesce(json_agg(distinct d.what), '[]')
            from pg_catalog.pg_attribute a
            cross join lateral (
              select 'index ' || x.indexrelid::regclass as what from pg_catalog.pg_index x
               where x.indrelid = c.oid and a.attnum = any (x.indkey)
              union all
              select 'constraint ' || k.conname from pg_catalog.pg_constraint k
               where k.conrelid = c.oid and a.attnum = any (k.conkey) and k.contype <> 'n' and k.conindid = 0
              union all
              select 'foreign key ' || k.conname from pg_catalog.pg_constraint k
               where k.confrelid = c.oid and a.attnum = any (k.confkey)
              union all
              select 'its default' from pg_catalog.pg_attrdef f where f.adrelid = c.oid and f.adnum = a.attnum
              union all
              select 'view ' || r.ev_class::regclass from pg_catalog.pg_depend p
                join pg_catalog.pg_rewrite r on r.oid = p.objid and p.classid = 'pg_catalog.pg_rewrite'::regclass
               where p.refobjid = c.oid and p.refobjsubid = a.attnum and r.ev_class <> c.oid) d
           where a.attrelid = c.oid and a.attname = $2) as dependents,
         (select coalesce(json_agg(json_build_object('role', g.role, 'privileges', g.privileges)), '[]')
            from (select case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end as role,
                         string_agg(lower(x.privilege_type), ', ') as privileges
                    from aclexplode(c.relacl) x
                   where x.grantee <> c.relowner
                     and x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                   group by x.grantee) g) as grants
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.oid = to_regclass($1) and c.relkind in ('r', 'p')`;

async function readChangedTable(session: Queryable, { table, column }: ColumnChange): Promise<ChangedTable | null> {
  const { rows } = await session.query<ChangedTable>(tableSql, [table, column]);
  return rows[0] ?? null;
}
