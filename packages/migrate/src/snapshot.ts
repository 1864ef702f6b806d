import { type Queryable, quoteQualified, sqlStateOf } from "@db/core";
import { type Catalog, fingerprintCatalog } from "./catalog.ts";
import { type HistoryOptions, historyDefaults } from "./options.ts";

/** The catalog as a run left it. */
export interface CatalogSnapshot {
  /** Newest migration applied then; null when none was. */
  readonly migration: string | null;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly fingerprint: string;
  readonly catalog: Catalog;
}

const kept = 50;
const undefinedTable = "42P01";

const columns = /* sql */ `(
    id           bigint generated always as identity primary key,
    migration_id text,
    taken_at     timestamptz not null default clock_timestamp(),
    fingerprint  text not null,
    catalog      text not null
  )`;

/** Keeps the catalog as it is after a run, and lets the oldest go. */
export async function writeSnapshot(
  session: Queryable,
  options: HistoryOptions,
  snapshot: { readonly migration: string | null; readonly catalog: Catalog },
): Promise<void> {
  const table = snapshotTable(options);
  const values = [snapshot.migration, fingerprintCatalog(snapshot.catalog), JSON.stringify(snapshot.catalog)];
  const insert = /* sql */ `
    with old as (delete from ${table} where id <= (select max(id) - ${kept} from ${table}))
    insert into ${table} (migration_id, fingerprint, catalog) values ($1, $2, $3)`;
  try {
    await session.query(insert, values);
  } catch (error) {
    if (sqlStateOf(error) !== undefinedTable) throw error;
    await session.query(`create table if not exists ${table} ${columns}`);
    await session.query(`comment on table ${table} is 'The catalog after each run of migrations, to tell drift from.'`);
    await session.query(insert, values);
  }
}

/**
 * The newest snapshot, or the newest one taken when `migration` was the last applied; null when there is none.
 * One query.
 */
export async function readSnapshot(
  session: Queryable,
  options: HistoryOptions & { readonly migration?: string },
): Promise<CatalogSnapshot | null> {
  try {
    const { rows } = await session.query<Omit<CatalogSnapshot, "catalog"> & { readonly catalog: string }>(
      `select migration_id as migration, to_char(taken_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "takenAt",
              fingerprint, catalog
         from ${snapshotTable(options)}
        where $1::text is null or migration_id = $1
        order by id desc
        limit 1`,
      [options.migration ?? null],
    );
    const [row] = rows;
    return row ? { ...row, catalog: JSON.parse(row.catalog) as Catalog } : null;
  } catch (error) {
    if (sqlStateOf(error) === undefinedTable) return null;
    throw error;
  }
}

/** Quoted and qualified. */
export function snapshotTable({
  schema = historyDefaults.schema,
  table = historyDefaults.table,
}: HistoryOptions): string {
  return quoteQualified(schema, `${table}_snapshots`);
}
