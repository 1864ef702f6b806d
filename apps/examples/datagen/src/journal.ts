import type { Queryable } from "@db/core";
import type { Dataset } from "./dataset.ts";

/** A load as the journal in the database remembers it. */
export interface RecordedLoad {
  readonly seed: number;
  readonly scale: number;
  readonly version: number;
  readonly rows: Readonly<Record<string, number>>;
}

/** Makes the journal and holds it for this transaction, so that two loads of one application follow each other. */
export async function prepareJournal(db: Queryable, application: string): Promise<void> {
  await db.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [`example-datagen/${application}`]);
  await db.query("create schema if not exists example_datagen");
  await db.query(
    `create table if not exists example_datagen.loads (
       application text primary key,
       seed        bigint not null,
       scale       double precision not null,
       version     integer not null,
       row_counts  jsonb not null,
       loaded_at   timestamptz not null default now()
     )`,
  );
}

/** The load that is in the database now, if any. */
export async function readLoad(db: Queryable, application: string): Promise<RecordedLoad | undefined> {
  const { rows } = await db.query<{ seed: string; scale: number; version: number; rows: Record<string, number> }>(
    'select seed::text, scale, version, row_counts as "rows" from example_datagen.loads where application = $1',
    [application],
  );
  const row = rows[0];
  return row && { ...row, seed: Number(row.seed) };
}

/** Writes a load down, in the transaction that did it. */
export async function recordLoad(
  db: Queryable,
  dataset: Dataset,
  rows: Readonly<Record<string, number>>,
): Promise<void> {
  await db.query(
    `insert into example_datagen.loads (application, seed, scale, version, row_counts) values ($1, $2, $3, $4, $5)
     on conflict (application) do update
        set seed = excluded.seed, scale = excluded.scale, version = excluded.version,
            row_counts = excluded.row_counts, loaded_at = excluded.loaded_at`,
    [dataset.application, dataset.seed, dataset.scale, dataset.version, JSON.stringify(rows)],
  );
}
