import { type Queryable, quoteIdentifier, quoteQualified } from "@db/core";
import { InvalidBulkInsertError } from "./errors.ts";
import type { Transaction } from "./transaction.ts";

/** What is inserted where. */
export interface BulkInsert {
  /** `"bill"` or `["civic", "bill"]`. */
  readonly table: string | readonly [schema: string, table: string];
  readonly columns: readonly string[];
  /** Each row as its values, in the order of the columns. */
  readonly rows: readonly (readonly unknown[])[];
  /** Default `error`. `nothing` skips rows that conflict. */
  readonly onConflict?: "error" | "nothing";
  /** Rows per statement. Default 5 000. */
  readonly batchRows?: number;
}

const typesSql = /* sql */ `
  select a.attname as name,
         pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
         t.typcategory = 'A' as "isArray"
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attname = any ($2)`;

/**
 * Inserts many rows with one parameter per column, so that the statement is planned once and never meets the limit of
 * 65 535 parameters. Runs inside the transaction it is given: all rows or none.
 * @returns how many rows were inserted
 * @throws {InvalidBulkInsertError} for columns the table lacks or rows of another length
 */
export async function insertMany(tx: Transaction, insert: BulkInsert): Promise<number> {
  const { columns, rows, onConflict = "error", batchRows = 5_000 } = insert;
  const wrong = rows.findIndex((row) => row.length !== columns.length);
  if (wrong >= 0) {
    throw new InvalidBulkInsertError(`row ${wrong} has ${rows[wrong]!.length} values for ${columns.length} columns`);
  }
  if (rows.length === 0) return 0;
  const table = typeof insert.table === "string" ? quoteIdentifier(insert.table) : quoteQualified(...insert.table);
  const types = await columnTypes(tx, table, columns);
  const names = columns.map(quoteIdentifier);
  // unnest would flatten arrays, so those travel as text and are cast row by row.
  const parameters = types.map(({ type, isArray }, index) => `$${index + 1}::${isArray ? "text" : type}[]`);
  const selected = types.map(({ type, isArray }, index) => (isArray ? `${names[index]}::${type}` : names[index]));
  const text =
    `insert into ${table} (${names.join(", ")}) select ${selected.join(", ")} ` +
    `from unnest(${parameters.join(", ")}) as source (${names.join(", ")})` +
    (onConflict === "nothing" ? " on conflict do nothing" : "");
  let inserted = 0;
  for (let start = 0; start < rows.length; start += batchRows) {
    const batch = rows.slice(start, start + batchRows);
    const values = types.map(({ isArray }, column) =>
      batch.map((row) => (isArray ? arrayText(row[column]) : row[column])),
    );
    inserted += (await tx.query(text, values)).rowCount ?? 0;
  }
  return inserted;
}

async function columnTypes(
  db: Queryable,
  table: string,
  columns: readonly string[],
): Promise<{ type: string; isArray: boolean }[]> {
  const { rows } = await db.query<{ name: string; type: string; isArray: boolean }>(typesSql, [table, columns]);
  const found = new Map(rows.map((row) => [row.name, row]));
  const missing = columns.filter((column) => !found.has(column));
  if (missing.length > 0) throw new InvalidBulkInsertError(`${table} has no column ${missing.join(", ")}`);
  return columns.map((column) => found.get(column)!);
}

/** An array in PostgreSQL's text form. */
function arrayText(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const items = value.map((item: unknown) => {
    if (item === null || item === undefined) return "NULL";
    if (Array.isArray(item)) return arrayText(item);
    const text = textOf(item);
    return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  });
  return `{${items.join(",")}}`;
}

function textOf(item: unknown): string {
  if (item instanceof Date) return item.toISOString();
  return typeof item === "object" ? JSON.stringify(item) : String(item as string | number | bigint | boolean);
}
