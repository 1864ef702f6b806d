import { compareFindings, type DatabaseLike, toDatabase } from "@db/core";
import { type Catalog, collectCatalog, emptyCatalog } from "./catalog.ts";
import type { FileProblem } from "./file-problem.ts";
import type { MigrationFinding } from "./finding.ts";
import { readMigrationFolder } from "./folder.ts";
import type { Placeholders } from "./placeholder.ts";
import { type HistoryOptions, historyDefaults } from "./options.ts";

/** What is linted and how it is weighed. */
export interface LintOptions extends HistoryOptions {
  readonly directory: string;
  /** Values for `${name}` in the files. */
  readonly placeholders?: Placeholders;
  /** Only these migrations: ids. Default: all of the folder. */
  readonly only?: readonly string[];
  /** A database whose catalog stands before the migrations in `only`; without it the folder is replayed. */
  readonly db?: DatabaseLike;
  /** A table estimated to hold fewer rows makes costs `info`. Default 10 000; without a database sizes are unknown. */
  readonly smallTableRows?: number;
  /** Sizes of the tables in production, from a catalog read there: a folder is then judged without a connection. */
  readonly sizes?: Catalog;
  /** Ask the rules of taste and policy too: types, names, keys. Default false. */
  readonly advice?: boolean;
}

/** Lint results as plain JSON. */
export interface LintReport {
  readonly files: number;
  readonly statements: number;
  /** Files and statements that cannot be used at all. */
  readonly problems: readonly FileProblem[];
  /** Worst first. */
  readonly findings: readonly MigrationFinding[];
}

/**
 * Judges a folder without applying it. Each migration is held against the catalog that those before it leave; a
 * table made by the same migration is exempt.
 * @throws {MigrationFolderError} {@link MigrationFilesError}
 */
export async function lintMigrations(options: LintOptions): Promise<LintReport> {
  const folder = await readMigrationFolder(options.directory, options.placeholders);
  const catalog = await readCatalog(options);
  const { lint, loadParser, parseMigration } = await import("./analysis.ts");
  const parser = await loadParser();
  const problems: FileProblem[] = [];
  const chosen = new Set(options.only ?? folder.migrations.map((file) => file.id));
  // With a database its catalog already holds what came before; without one everything is replayed.
  const subjects = folder.migrations
    .filter((file) => !options.db || chosen.has(file.id))
    .map((file) => {
      const { statements, transactional } = parseMigration(
        parser,
        file.up,
        file.verify,
        catalog.serverVersion,
        problems,
      );
      return { id: file.id, statements, transactional, allowances: file.allowances };
    });
  const { findings } = lint(subjects, catalog, {
    blocks: "critical",
    exempt: "migration",
    advice: options.advice ?? false,
    ...(options.sizes ? { rows: rowsOf(options.sizes) } : {}),
    ...(options.smallTableRows === undefined ? {} : { smallTableRows: options.smallTableRows }),
  });
  const judged = subjects.filter(({ id }) => chosen.has(id));
  return {
    files: judged.length,
    statements: judged.reduce((sum, { statements }) => sum + statements.length, 0),
    problems,
    findings: findings.filter(({ migration }) => migration !== null && chosen.has(migration)).toSorted(compareFindings),
  };
}

function rowsOf(catalog: Catalog): Map<string, number | null> {
  return new Map(catalog.tables.map(({ schema, name, rows }) => [`${schema}.${name}`, rows]));
}

async function readCatalog(options: LintOptions): Promise<Catalog> {
  if (!options.db) return emptyCatalog;
  const schema = options.schema ?? historyDefaults.schema;
  return toDatabase(options.db).withSession((session) => collectCatalog(session, schema));
}
