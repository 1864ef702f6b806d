import { type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import { readMigrationFolder } from "./folder.ts";
import { MigrationFilesError } from "./errors.ts";
import type { FileProblem } from "./file-problem.ts";
import type { MigrationFinding } from "./finding.ts";
import { History } from "./history.ts";
import type { MigrationFile } from "./migration-file.ts";
import type { MigrationOptions } from "./options.ts";
import { serverMessage } from "./statement-run.ts";

export interface VerifyOptions extends MigrationOptions {
  /** Only these migrations: ids. Default: every applied one. */
  readonly only?: readonly string[];
}

/** What one verify section says of the database as it is now. */
export interface Verification {
  readonly migration: string;
  readonly file: string;
  readonly outcome: "holds" | "fails" | "no-verify";
  /** Of the query that failed, from 1. */
  readonly line: number | null;
  readonly message: string | null;
}

/** Verify sections run against a database, as plain JSON. */
export interface VerifyReport {
  readonly migrations: readonly Verification[];
  readonly holding: number;
  readonly failing: number;
  readonly withoutVerify: number;
  readonly findings: readonly MigrationFinding[];
}

/**
 * Runs the verify sections of applied migrations again, each in a transaction that is read only and rolled back. A
 * query fails when the server refuses it or when it answers a single false.
 * @throws {MigrationFilesError} {@link MigrationFolderError} {@link HistoryError}
 */
export async function verifyMigrations(db: DatabaseLike, options: VerifyOptions): Promise<VerifyReport> {
  const folder = await readMigrationFolder(options.directory, options.placeholders);
  return toDatabase(db).withSession(async (session) => {
    const entries = (await new History(options).read(session)) ?? [];
    const applied = new Set(entries.filter(({ state }) => state === "applied").map(({ id }) => id));
    const chosen = options.only ? new Set(options.only) : applied;
    const due = folder.migrations.filter(({ id }) => applied.has(id) && chosen.has(id));
    const results: Verification[] = [];
    for (const file of due) results.push(await verify(session, file));
    return {
      migrations: results,
      holding: results.filter(({ outcome }) => outcome === "holds").length,
      failing: results.filter(({ outcome }) => outcome === "fails").length,
      withoutVerify: results.filter(({ outcome }) => outcome === "no-verify").length,
      findings: results.filter(({ outcome }) => outcome === "fails").map(findingOf),
    };
  });
}

async function verify(session: Queryable, file: MigrationFile): Promise<Verification> {
  const about = { migration: file.id, file: file.file, line: null, message: null };
  if (!file.verify) return { ...about, outcome: "no-verify" };
  const { loadParser } = await import("./parser.ts");
  const { parseSection } = await import("./statement.ts");
  const problems: FileProblem[] = [];
  const queries = parseSection(await loadParser(), file.verify, problems);
  if (problems.length > 0) throw new MigrationFilesError(problems);
  await session.query("begin transaction read only");
  try {
    for (const { sql, line } of queries) {
      const message = await refusal(session, sql);
      if (message !== null) return { ...about, outcome: "fails", line, message };
    }
    return { ...about, outcome: "holds" };
  } finally {
    await session.query("rollback");
  }
}

/** What is wrong with a query's answer; null when it holds. */
async function refusal(session: Queryable, sql: string): Promise<string | null> {
  try {
    const { rows } = await session.query<object>(sql);
    const values = rows.length === 1 ? Object.values(rows[0] ?? {}) : [];
    return values.length === 1 && values[0] === false ? "the query answered false" : null;
  } catch (error) {
    return serverMessage(error);
  }
}

function findingOf({ migration, file, line, message }: Verification): MigrationFinding {
  return {
    id: "MIGRATE-VERIFY",
    severity: "critical",
    title: `${file}:${line} no longer holds: ${message}`,
    hint: "Find out what changed since it was applied: db migrate drift tells what the schema lost or gained.",
    migration,
    rule: null,
    file,
    line,
    column: null,
    blocks: false,
    safer: null,
  };
}
