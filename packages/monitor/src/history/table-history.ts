import { type DatabaseLike, quoteIdentifier, toDatabase } from "@db/core";
import { hourMs, keyOf, type HistoryStore, type SeriesHour } from "./history.ts";

const dayMs = 24 * hourMs;

export interface TableHistoryOptions {
  /** Where the table is made: the watched database or, better, another. Its role must be allowed to write. */
  readonly db: DatabaseLike;
  /** Default `db_monitor`; made when it is not there. */
  readonly schema?: string;
}

/** One row a series and day, one element an hour: 100 series over 400 days are 40,000 rows, about 25 MB. */
const createSql = (schema: string): string => /* sql */ `
  create schema if not exists ${schema};
  create table if not exists ${schema}.history (
    series   text     not null,
    labels   jsonb    not null,
    day      date     not null,
    average  float8[] not null,
    highest  float8[] not null,
    samples  int[]    not null,
    primary key (day, series, labels));
  comment on table ${schema}.history is 'hourly values of @db/monitor; element h of an array is the hour h - 1 (UTC)';`;

const readSql = (table: string): string => /* sql */ `
  select series, labels, (extract(epoch from day) * 1000)::float8 as day, average, highest, samples
    from ${table}
   where day >= (to_timestamp($1::float8 / 1000) at time zone 'UTC')::date`;

const writeSql = (table: string): string => /* sql */ `
  insert into ${table} as kept (series, labels, day, average, highest, samples)
  select series, labels, (to_timestamp(day / 1000) at time zone 'UTC')::date, average, highest, samples
    from jsonb_to_recordset($1::jsonb)
      as given(series text, labels jsonb, day float8, average float8[], highest float8[], samples int[])
      on conflict (day, series, labels) do update
     set average = (select array_agg(coalesce(excluded.average[h], kept.average[h]) order by h) from generate_series(1, 24) h),
         highest = (select array_agg(coalesce(excluded.highest[h], kept.highest[h]) order by h) from generate_series(1, 24) h),
         samples = (select array_agg(coalesce(excluded.samples[h], kept.samples[h]) order by h) from generate_series(1, 24) h)`;

const expireSql = (table: string): string => /* sql */ `
  delete from ${table} where day < (to_timestamp($1::float8 / 1000) at time zone 'UTC')::date`;

/**
 * Keeps history in a table, which it makes on first use. Several processes that watch the same server may share it:
 * the last to write an hour is kept.
 */
export function createTableHistory({ db, schema = "db_monitor" }: TableHistoryOptions): HistoryStore {
  const database = toDatabase(db);
  const table = `${quoteIdentifier(schema)}.history`;
  let made: Promise<unknown> | undefined;
  const make = async (): Promise<void> => {
    made ??= database.withTransaction(async (tx) => {
      // Two processes that make it at the same moment would collide in the catalog.
      await tx.query("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", [table]);
      for (const statement of createSql(quoteIdentifier(schema)).split(";\n")) await tx.query(statement);
    });
    await made.catch((error: unknown) => {
      made = undefined;
      throw error;
    });
  };
  return {
    async read(since) {
      await make();
      const { rows } = await database.query<DayRow>(readSql(table), [since]);
      return rows.flatMap(toHours).filter(({ at }) => at >= since);
    },
    async write(hours) {
      if (hours.length === 0) return;
      await make();
      await database.query(writeSql(table), [JSON.stringify(toDays(hours))]);
    },
    async expire(before) {
      await make();
      await database.query(expireSql(table), [before]);
    },
  };
}

interface DayRow {
  readonly series: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Midnight UTC, milliseconds since the epoch. */
  readonly day: number;
  readonly average: readonly (number | null)[];
  readonly highest: readonly (number | null)[];
  readonly samples: readonly (number | null)[];
}

function toHours({ series, labels, day, average, highest, samples }: DayRow): readonly SeriesHour[] {
  return average.flatMap((value, hour) =>
    value === null
      ? []
      : [
          {
            name: series,
            labels,
            at: day + hour * hourMs,
            average: value,
            highest: highest[hour] ?? value,
            samples: samples[hour] ?? 1,
          },
        ],
  );
}

function toDays(hours: readonly SeriesHour[]): readonly DayRow[] {
  const byDay = Map.groupBy(hours, ({ name, labels, at }) => `${keyOf(name, labels)} ${Math.floor(at / dayMs)}`);
  return [...byDay.values()].map((ofDay) => {
    const { name, labels, at } = ofDay[0]!;
    const day = Math.floor(at / dayMs) * dayMs;
    const spread = (of: (hour: SeriesHour) => number): (number | null)[] => {
      const values: (number | null)[] = Array.from({ length: 24 }, () => null);
      for (const hour of ofDay) values[(hour.at - day) / hourMs] = of(hour);
      return values;
    };
    return {
      series: name,
      labels,
      day,
      average: spread((hour) => hour.average),
      highest: spread((hour) => hour.highest),
      samples: spread((hour) => hour.samples),
    };
  });
}
