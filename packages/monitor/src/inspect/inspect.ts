import { type DatabaseLike, type Queryable, quoteIdentifier, toDatabase } from "@db/core";
import { toNumber, toText } from "../collector.ts";
import { UnknownInspectionError, UnsupportedServerError } from "../errors.ts";
import { monitorDefaults } from "../options.ts";
import { redactSql, statementMark } from "../redact.ts";
import { type SessionLimits, withLimits } from "../session.ts";
import { activityInspections } from "./activity.ts";
import type { InspectColumn, Inspection } from "./inspection.ts";
import { relationInspections } from "./relations.ts";
import { serverInspections } from "./server.ts";

/** Every question `inspect` can answer, in the order of a help page. */
export const inspections: readonly Inspection[] = Object.freeze([
  ...activityInspections,
  ...serverInspections,
  ...relationInspections,
]);

export type InspectCell = string | number | boolean | null;

/** An answer: raw values by the names of its columns. Plain JSON. */
export interface InspectReport {
  readonly name: string;
  readonly title: string;
  /** ISO 8601. */
  readonly asOf: string;
  readonly columns: readonly InspectColumn[];
  readonly rows: readonly Readonly<Record<string, InspectCell>>[];
  /** What no rows means, or why there can be none here; `null` where there are rows. */
  readonly note: string | null;
}

export interface InspectOptions extends Partial<SessionLimits> {
  /** Most rows, 1 to 1 000. Default 50. */
  readonly limit?: number;
}

/** Finds an inspection by its name or another tool's. @throws {UnknownInspectionError} */
export function findInspection(name: string): Inspection {
  const found = inspections.find((each) => each.name === name || each.aliases?.includes(name));
  if (found) return found;
  throw new UnknownInspectionError(
    name,
    inspections.map((each) => each.name),
  );
}

/**
 * Asks a server one question. Read-only, waits at most `lockTimeoutMs` for a lock and `statementTimeoutMs` in all;
 * texts of statements come without their literals.
 * @throws {UnknownInspectionError | UnsupportedServerError}
 */
export async function inspect(db: DatabaseLike, name: string, options: InspectOptions = {}): Promise<InspectReport> {
  const inspection = findInspection(name);
  const { statementTimeoutMs, lockTimeoutMs } = { ...monitorDefaults, ...options };
  const limit = Math.max(1, Math.min(1_000, options.limit ?? 50));
  return toDatabase(db).withSession((session) =>
    withLimits(session, { statementTimeoutMs, lockTimeoutMs }, async ({ versionNum }) => {
      if (versionNum < 120_000) throw new UnsupportedServerError({ server: "it", versionNum });
      return answer(session, inspection, Math.floor(versionNum / 10_000), limit);
    }),
  );
}

async function answer(
  session: Queryable,
  inspection: Inspection,
  version: number,
  limit: number,
): Promise<InspectReport> {
  const { name, title, columns, since = 12, empty } = inspection;
  const blank = { name, title, asOf: new Date().toISOString(), columns, rows: [] };
  if (version < since) return { ...blank, note: `PostgreSQL ${version} does not tell; ${since} and later do.` };
  const statements = inspection.statements ? await findStatements(session) : "";
  if (inspection.statements && statements === "")
    return {
      ...blank,
      note: "pg_stat_statements is not created in this database: create extension pg_stat_statements.",
    };
  const { rows } = await session.query<Record<string, unknown>>(
    `${inspection.sql({ version, statements })} ${statementMark}`,
    [limit],
  );
  return {
    ...blank,
    rows: rows.map((row) =>
      Object.fromEntries(columns.map((column) => [column.name, toCell(row[column.name], column)])),
    ),
    note: rows.length === 0 ? empty : null,
  };
}

/** The view with its schema, wherever the extension was put; empty where it is not. */
export async function findStatements(session: Queryable): Promise<string> {
  const { rows } = await session.query<{ schema: string }>(
    `select n.nspname as schema from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'pg_stat_statements' ${statementMark}`,
  );
  return rows[0] ? `${quoteIdentifier(rows[0].schema)}.pg_stat_statements` : "";
}

function toCell(value: unknown, { kind }: InspectColumn): InspectCell {
  if (value === null || value === undefined) return null;
  switch (kind) {
    case "text":
      return toText(value);
    case "code":
      return redactSql(toText(value), 2_000);
    case "flag":
      return value === true;
    case "time":
      return value instanceof Date ? value.toISOString() : toText(value);
    default:
      return toNumber(value);
  }
}
