import { type DatabaseLike, quoteIdentifier, sqlStateOf, toDatabase } from "@db/core";
import type { Silence, SilenceStore } from "./silence.ts";

export interface TableSilencesOptions {
  /** Where the table is made, as for `createTableHistory`. Its role must be allowed to write. */
  readonly db: DatabaseLike;
  /** Default `db_monitor`; made when it is not there. */
  readonly schema?: string;
}

const createSql = (schema: string): readonly string[] => [
  `create schema if not exists ${schema}`,
  /* sql */ `
  create table if not exists ${schema}.silence (
    id              uuid        primary key,
    rule            text        not null,
    labels          jsonb       not null,
    reason          text        not null,
    by              text        not null,
    at              timestamptz not null,
    until           timestamptz not null,
    ends_with_alert boolean     not null)`,
  `comment on table ${schema}.silence is 'alerts of @db/monitor that are not told'`,
];

const iso = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const readSql = (table: string): string => /* sql */ `
  select id::text as id, rule, labels, reason, by, ${iso("at")} as at, ${iso("until")} as until,
         ends_with_alert as "endsWithAlert"
    from ${table} where until > to_timestamp($1::float8 / 1000) order by at`;

const addSql = (table: string): string => /* sql */ `
  insert into ${table} (id, rule, labels, reason, by, at, until, ends_with_alert)
  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing`;

/** What ended a month ago is nobody's any more. */
const forgetSql = (table: string): string => `delete from ${table} where until < now() - interval '30 days'`;

/** `undefined_table`, `invalid_schema_name`. */
const noSuchTable: ReadonlySet<string> = new Set(["42P01", "3F000"]);

/** Keeps silences in a table, which it makes when the first is added. */
export function createTableSilences({ db, schema = "db_monitor" }: TableSilencesOptions): SilenceStore {
  const database = toDatabase(db);
  const table = `${quoteIdentifier(schema)}.silence`;
  let made: Promise<unknown> | undefined;
  const make = async (): Promise<void> => {
    made ??= database.withTransaction(async (tx) => {
      // Two processes that make it at the same moment would collide in the catalog.
      await tx.query("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", [table]);
      for (const statement of createSql(quoteIdentifier(schema))) await tx.query(statement);
    });
    await made.catch((error: unknown) => {
      made = undefined;
      throw error;
    });
  };
  return {
    async read(now) {
      const { rows } = await ifThere(database.query<Silence>(readSql(table), [now]));
      return rows;
    },
    async add({ id, rule, labels, reason, by, at, until, endsWithAlert }) {
      await make();
      await database.query(forgetSql(table));
      await database.query(addSql(table), [id, rule, JSON.stringify(labels), reason, by, at, until, endsWithAlert]);
    },
    async remove(id) {
      const sql = `delete from ${table} where id::text = $1 returning id::text as id`;
      const { rows } = await ifThere(database.query(sql, [id]));
      return rows.length > 0;
    },
  };
}

/** Where nothing was ever silenced there is no table, and reading makes none. */
async function ifThere<Row>(
  answer: Promise<{ readonly rows: readonly Row[] }>,
): Promise<{ readonly rows: readonly Row[] }> {
  try {
    return await answer;
  } catch (error) {
    if (noSuchTable.has(sqlStateOf(error) ?? "")) return { rows: [] };
    throw error;
  }
}
