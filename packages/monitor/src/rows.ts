import type { Queryable } from "@db/core";

/** What a collector asks on: statements for rows may be joined with others. */
export interface CollectorSession extends Queryable {
  /** As `readRows`, for many statements at once. */
  readonly rows?: (text: string) => Promise<readonly Row[]>;
}

/** Values in the order of the columns: numbers and booleans as such, all else as text. */
export type Row = readonly unknown[];

/** A statement that gives rows as arrays: names sent with every value would be most of what is sent. */
export function rowsSql(columns: readonly string[], rest: string): string {
  return `select pg_catalog.json_build_array(${columns.join(", ")}) as r ${rest}`;
}

/** Runs a statement made by `rowsSql`. What several ask for at the same moment is asked once, and is one promise. */
export function readRows(session: CollectorSession, text: string): Promise<readonly Row[]> {
  return session.rows?.(text) ?? readAlone(session, text);
}

async function readAlone(session: Queryable, text: string): Promise<readonly Row[]> {
  const { rows } = await session.query<{ r: unknown }>(text);
  return rows.map(({ r }) => (typeof r === "string" ? JSON.parse(r) : r) as Row);
}
