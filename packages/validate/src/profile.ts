import { quoteIdentifier, type Queryable } from "@db/core";
import type { CatalogTable } from "./catalog.ts";
import { tableSql } from "./table-name.ts";

/** What is known of a column's values without reading the whole table. */
export interface ColumnProfile {
  readonly column: string;
  /** From the planner's statistics, or from a sample of rows where the table was never analysed. */
  readonly source: "statistics" | "sample";
  /** Rows of the table, estimated. */
  readonly rows: number;
  /** 0 to 1. */
  readonly nullFraction: number;
  /** Distinct values, estimated. */
  readonly distinct: number;
  /** Most common values first, with their share of all rows, 0 to 1. */
  readonly common: readonly { readonly value: string; readonly share: number }[];
  /** Some values as text, no order promised. */
  readonly values: readonly string[];
}

/** Rows looked at where there are no statistics. */
export const profileSampleRows = 5_000;

// A partitioned table has only inherited statistics, a plain one only its own.
const statisticsSql = /* sql */ `
  select s.attname                              as column,
         s.null_frac::float8                    as "nullFraction",
         s.n_distinct::float8                   as "nDistinct",
         s.most_common_vals::text::text[]       as "commonValues",
         s.most_common_freqs::float8[]          as "commonShares",
         s.histogram_bounds::text::text[]       as bounds
    from pg_catalog.pg_stats s
   where s.schemaname = $1 and s.tablename = $2 and s.inherited = $3`;

type StatisticsRow = {
  column: string;
  nullFraction: number;
  nDistinct: number;
  commonValues: string[] | null;
  commonShares: number[] | null;
  bounds: string[] | null;
};

/** Profiles the columns of a table: free where the planner's statistics exist, one bounded read where not. */
export async function profileTable(db: Queryable, table: CatalogTable): Promise<readonly ColumnProfile[]> {
  const { rows } = await db.query<StatisticsRow>(statisticsSql, [
    table.schema,
    table.name,
    table.kind === "partitioned" || table.inherited,
  ]);
  if (rows.length > 0 && table.estimatedRows > 0) return rows.map((row) => fromStatistics(row, table.estimatedRows));
  const columns = table.columns.filter((column) => column.type !== "bytea");
  if (columns.length === 0) return [];
  const list = columns.map((column, index) => `left(${quoteIdentifier(column.name)}::text, 200) as c${index}`);
  const sample = await db.query<Record<string, string | null>>(
    `select ${list.join(", ")} from ${tableSql(table)} limit $1::bigint`,
    [profileSampleRows],
  );
  return columns.map(({ name }, index) =>
    fromSample(
      name,
      sample.rows.map((row) => row[`c${index}`] ?? null),
    ),
  );
}

function fromStatistics(row: StatisticsRow, rows: number): ColumnProfile {
  // Negative: a share of the rows, for columns whose distinct values grow with the table.
  const distinct = row.nDistinct < 0 ? -row.nDistinct * rows : row.nDistinct;
  const shares = row.commonShares ?? [];
  const commonValues = row.commonValues ?? [];
  return {
    column: row.column,
    source: "statistics",
    rows,
    nullFraction: row.nullFraction,
    distinct: Math.round(distinct),
    common: commonValues.map((value, index) => ({ value, share: shares[index] ?? 0 })),
    values: [...commonValues, ...(row.bounds ?? [])],
  };
}

function fromSample(column: string, cells: readonly (string | null)[]): ColumnProfile {
  const present = cells.filter((cell) => cell !== null);
  const counts = new Map<string, number>();
  for (const cell of present) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 100);
  return {
    column,
    source: "sample",
    rows: cells.length,
    nullFraction: cells.length === 0 ? 0 : 1 - present.length / cells.length,
    distinct: counts.size,
    common: common.map(([value, count]) => ({ value, share: count / cells.length })),
    values: [...counts.keys()].slice(0, 1_000),
  };
}
