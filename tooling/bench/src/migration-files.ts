/** One migration of the benchmark, before a tool's form is given to it. */
export interface MigrationSource {
  /** `0001_create_item_1`: sorts as it is to run. */
  readonly name: string;
  readonly sql: string;
}

const tables = 100;

/** 500 small migrations: 100 tables, each created, widened, indexed, constrained and filled. */
export function migrationSources(): MigrationSource[] {
  const steps = Array.from({ length: tables }, (_, index) => tableSteps(`item_${index + 1}`)).flat();
  return steps.map(({ name, sql }, index) => ({ name: `${String(index + 1).padStart(4, "0")}_${name}`, sql }));
}

/** What a database holds once all of them ran. */
export const migratedSchema: Readonly<Record<string, number>> = {
  tables: tables,
  columns: 3 * tables,
  indexes: 2 * tables,
  checks: tables,
  rows: 2 * tables,
};

/** Reads the same facts from a database. */
export const migratedSchemaSql: string = /* sql */ `
  with item as (select oid from pg_catalog.pg_class
                 where relnamespace = 'public'::regnamespace and relkind = 'r' and relname like 'item\\_%')
  select (select count(*) from item)::int as tables,
         (select count(*) from pg_catalog.pg_attribute where attrelid in (select oid from item) and attnum > 0)::int
           as columns,
         (select count(*) from pg_catalog.pg_index where indrelid in (select oid from item))::int as indexes,
         (select count(*) from pg_catalog.pg_constraint where conrelid in (select oid from item) and contype = 'c')::int
           as checks,
         (select sum(n) from (${Array.from(
           { length: tables },
           (_, index) => `select count(*) as n from public.item_${index + 1}`,
         ).join(" union all ")}) counted)::int as rows`;

function tableSteps(table: string): MigrationSource[] {
  return [
    {
      name: `create_${table}`,
      sql: `create table ${table} (id bigint generated always as identity primary key, name text not null);\n`,
    },
    { name: `widen_${table}`, sql: `alter table ${table} add column price int not null default 0;\n` },
    { name: `index_${table}`, sql: `create index ${table}_name on ${table} (name);\n` },
    { name: `check_${table}`, sql: `alter table ${table} add constraint ${table}_price check (price >= 0);\n` },
    { name: `fill_${table}`, sql: `insert into ${table} (name, price) values ('a; b', 1), ('c', 2);\n` },
  ];
}
