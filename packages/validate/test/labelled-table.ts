import { readFileSync } from "node:fs";
import path from "node:path";
import { quoteIdentifier } from "@db/core";
import type { Pool } from "pg";

/** A dirty table whose faulty cells are known, from the clean copy beside it. */
export interface LabelledTable {
  readonly table: string;
  readonly columns: readonly string[];
  /** `key/column` of each cell that differs from the clean copy. */
  readonly faults: ReadonlySet<string>;
}

/** Where the labelled tables lie, when they are there. */
export const qualityDirectory: string = path.resolve(import.meta.dirname, "../../../../shared/data/quality");

/** Loads the dirty copy as text, its first column as the key. */
export async function loadLabelled(pool: Pool, table: string): Promise<LabelledTable> {
  const [header = [], ...dirty] = parseCsv(readFileSync(path.join(qualityDirectory, `${table}-dirty.csv`), "utf8"));
  const [, ...clean] = parseCsv(readFileSync(path.join(qualityDirectory, `${table}-clean.csv`), "utf8"));
  const list = header.map((name, index) => `${quoteIdentifier(name)} text${index === 0 ? " primary key" : ""}`);
  await pool.query(`create table ${quoteIdentifier(table)} (${list.join(", ")})`);
  const columns = header.map((_, index) => dirty.map((row) => (row[index] === "" ? null : row[index])));
  const values = header.map((_, index) => `$${index + 1}::text[]`).join(", ");
  await pool.query(`insert into ${quoteIdentifier(table)} select * from unnest(${values})`, columns);
  await pool.query(`analyze ${quoteIdentifier(table)}`);
  const faults = new Set<string>();
  for (const [at, row] of dirty.entries()) {
    for (const [index, name] of header.entries()) {
      if (row[index] !== clean[at]![index]) faults.add(`${row[0]}/${name}`);
    }
  }
  return { table, columns: header, faults };
}

function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  // Quoted cells double their quotes; everything else ends at a comma or a line's end.
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g)) {
    if (end === "" && row.length === 0 && plain === "") break;
    row.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
