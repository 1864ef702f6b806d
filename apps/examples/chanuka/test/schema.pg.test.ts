import { applyMigrations, planMigrations } from "@db/migrate";
import { startCluster, type TestCluster } from "@db/testkit";
import { is, SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { getTableConfig, PgDialect, PgTable } from "drizzle-orm/pg-core";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chanuka } from "../src/index.ts";
import * as schema from "../src/schema.ts";

const tables = Object.values(schema).filter((value) => is(value, PgTable));
let cluster: TestCluster;
let db: Pool;
beforeAll(async () => {
  cluster = await startCluster();
  db = cluster.createPool({ connectionString: (await cluster.createDatabase()).url });
  await applyMigrations(db, await planMigrations(db, { directory: chanuka.migrationsDirectory }));
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
});

describe("the Drizzle schema and the migrations", () => {
  test("have the same tables", async () => {
    const { rows } = await db.query<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
    );
    expect(tables.map((table) => getTableConfig(table).name).toSorted()).toEqual(rows.map((row) => row.name));
  });

  test.each(tables.map((table) => [getTableConfig(table).name, table] as const))("agree on %s", async (name, table) => {
    expect(await fromDrizzle(table)).toEqual(await fromCatalog(name));
  });

  test("Drizzle reads and writes through them", async () => {
    const orm = drizzle(db);
    const [bill] = await orm.insert(schema.bills).values({ title: "The Tea Bill, 2026" }).returning();
    expect(bill).toMatchObject({ id: 1, title: "The Tea Bill, 2026", status: "drafted", introducedOn: null });
    await orm.delete(schema.bills);
  });
});

interface TableShape {
  readonly columns: readonly (readonly [name: string, type: string, notNull: boolean, fallback: string])[];
  readonly constraints: readonly string[];
  readonly indexes: readonly string[];
}

async function fromCatalog(name: string): Promise<TableShape> {
  const columns = await db.query<{ name: string; type: string; notnull: boolean; fallback: string }>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as notnull,
            case a.attidentity when 'd' then 'identity' else coalesce(pg_get_expr(d.adbin, d.adrelid), '') end as fallback
       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
      order by a.attname`,
    [name],
  );
  const constraints = await db.query<{ text: string }>(
    `select conname || ' ' || pg_get_constraintdef(oid) as text
       from pg_constraint where conrelid = $1::regclass and contype <> 'n' and convalidated`,
    [name],
  );
  const indexes = await db.query<{ text: string }>(
    `select pg_get_indexdef(indexrelid) as text from pg_index i
      where indrelid = $1::regclass and indisvalid and not exists (select from pg_constraint where conindid = indexrelid)`,
    [name],
  );
  return {
    columns: columns.rows.map((column) => [column.name, column.type, column.notnull, column.fallback]),
    constraints: constraints.rows.map((row) => row.text).toSorted(),
    indexes: indexes.rows.map((row) => row.text).toSorted(),
  };
}

/** The same facts by what Drizzle would create: made in a scratch schema, then read back with PostgreSQL's words. */
async function fromDrizzle(table: PgTable): Promise<TableShape> {
  const config = getTableConfig(table);
  const dialect = new PgDialect();
  const names = (columns: readonly { name: string }[]): string => columns.map((column) => column.name).join(", ");
  const constraints = [
    ...config.columns
      .filter((column) => column.primary)
      .map((column) => `${config.name}_pkey PRIMARY KEY (${column.name})`),
    ...config.primaryKeys.map((key) => `${key.getName()} PRIMARY KEY (${names(key.columns)})`),
    ...config.uniqueConstraints.map((key) => `${key.getName()} UNIQUE (${names(key.columns)})`),
    ...config.foreignKeys.map((key) => {
      const { columns, foreignColumns, foreignTable } = key.reference();
      const action = key.onDelete && key.onDelete !== "no action" ? ` ON DELETE ${key.onDelete.toUpperCase()}` : "";
      const target = `${getTableConfig(foreignTable).name}(${names(foreignColumns)})`;
      return `${key.getName()} FOREIGN KEY (${names(columns)}) REFERENCES ${target}${action}`;
    }),
  ];
  for (const check of config.checks) {
    // Only PostgreSQL can say whether two expressions are one: it writes both in its own form.
    const expression = dialect.sqlToQuery(check.value).sql;
    constraints.push(`${check.name} ${await canonicalCheck(config.name, expression)}`);
  }
  return {
    columns: config.columns
      .map((column) => {
        const identity = column.generatedIdentity ? "identity" : "";
        const type = column.getSQLType().replace(", ", ",");
        return [column.name, type, column.notNull, identity || defaultText(dialect, column.default, type)] as const;
      })
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    constraints: constraints.toSorted(),
    indexes: config.indexes
      .map(({ config: index }) => {
        const columns = index.columns as readonly { name: string }[];
        return `CREATE INDEX ${index.name} ON public.${config.name} USING btree (${names(columns)})`;
      })
      .toSorted(),
  };
}

function defaultText(dialect: PgDialect, value: unknown, type: string): string {
  if (value === undefined) return "";
  if (is(value, SQL)) return dialect.sqlToQuery(value).sql;
  return typeof value === "string" ? `'${value}'::${type}` : JSON.stringify(value);
}

async function canonicalCheck(table: string, expression: string): Promise<string> {
  const client = await db.connect();
  try {
    await client.query("begin");
    await client.query(`alter table ${table} add constraint canonical check (${expression})`);
    const { rows } = await client.query<{ text: string }>(
      "select pg_get_constraintdef(oid) as text from pg_constraint where conname = 'canonical'",
    );
    return rows[0]!.text;
  } finally {
    await client.query("rollback");
    client.release();
  }
}
