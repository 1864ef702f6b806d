import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDbError } from "@db/core";
import { fingerprintCatalog } from "./catalog.ts";
import { type CatalogDifference, diffCatalogs } from "./catalog-diff.ts";
import { resolveMigration } from "./comparison.ts";
import { MigrationFilesError, MigrationOptionsError, SquashUnequalError } from "./errors.ts";
import type { FileProblem } from "./file-problem.ts";
import { readMigrationFolder } from "./folder.ts";
import type { HistoryOptions } from "./options.ts";
import type { ShadowDatabase } from "./reversal-proof.ts";
import { buildCatalog } from "./shadow-catalog.ts";
import { squashHeader } from "./squash-header.ts";
import type { MigrationStatement } from "./statement.ts";
import { replaceWholeFile, writeWholeFile } from "./whole-file.ts";

export interface SquashOptions extends HistoryOptions {
  readonly directory: string;
  /** Last migration to put together: id, file or version. */
  readonly to: string;
  /** Makes an empty database on a server of the version in use. Asked for two or three times. */
  readonly createDatabase: () => Promise<ShadowDatabase>;
  readonly signal?: AbortSignal;
}

/** Many migrations as one, proved equal, as plain JSON: print it, then write it. */
export interface SquashPlan {
  readonly directory: string;
  readonly id: string;
  readonly file: string;
  readonly content: string;
  /** Files that go, in order. */
  readonly replaces: readonly string[];
  readonly statements: number;
  /** Left out: they concerned only tables that were dropped again. */
  readonly leftOut: number;
  /** Fingerprint of the catalog that both make. */
  readonly fingerprint: string;
}

/**
 * Puts the migrations up to one into a single file and proves in empty databases that it makes the same catalog,
 * object by object. Rows that migrations write are written by it too. Databases that have run the old files know the
 * new one as applied; one that stands in the middle is told to finish with the old files first.
 * @throws {SquashUnequalError} when the catalogs differ
 * @throws {MigrationOptionsError} for fewer than two migrations, programs among them, or a folder drizzle-kit numbers
 * @throws as `planMigrations` and `applyMigrations` where the old migrations do not run
 */
export async function planSquash(options: SquashOptions): Promise<SquashPlan> {
  const { directory } = options;
  const folder = await readMigrationFolder(directory);
  if (folder.format === "drizzle") {
    throw new MigrationOptionsError(`${directory} is numbered by drizzle-kit`, {
      hint: "Import it into a folder of its own first: its journal knows nothing of squashed files.",
    });
  }
  const last = resolveMigration(options.to, folder.migrations);
  const chosen = folder.migrations.slice(0, folder.migrations.indexOf(last) + 1);
  const programs = chosen.filter(({ file }) => !file.endsWith(".sql")).map(({ file }) => file);
  if (chosen.length < 2 || last.kind === "repeatable" || programs.length > 0) {
    const reason =
      programs.length > 0 ? `${programs.join(", ")} is a program` : "there are not two versioned migrations to squash";
    throw new MigrationOptionsError(reason, { hint: "Squash up to a migration before which all are SQL files." });
  }
  const problems: FileProblem[] = [];
  const { loadParser } = await import("./parser.ts");
  const { parseSection } = await import("./statement.ts");
  const { lastingStatements, plainText } = await import("./squash-statements.ts");
  const parser = await loadParser();
  const statements = chosen.flatMap(({ up }) => parseSection(parser, up, problems));
  if (problems.length > 0) throw new MigrationFilesError(problems);
  const replaced = new Set(chosen.flatMap(({ id, squashes }) => [...squashes, id]));
  const id = `${last.version}_squashed`;
  const content = (kept: readonly MigrationStatement[]): string =>
    `${squashHeader([...replaced])}-- migrate:up\n${kept.map(plainText).join("\n\n")}\n`;

  const expected = await buildCatalog({ ...options, to: last.id });
  const attempt = async (kept: readonly MigrationStatement[]): Promise<readonly CatalogDifference[]> => {
    const made = await build(options, `${id}.sql`, content(kept));
    return diffCatalogs(expected, made);
  };
  let kept = lastingStatements(statements);
  let differences = await attempt(kept).catch((error: unknown) => {
    if (kept.length === statements.length || !isDbError(error, "MIGRATE_FAILED")) throw error;
    return null;
  });
  if (differences === null || (differences.length > 0 && kept.length < statements.length)) {
    kept = statements;
    differences = await attempt(kept);
  }
  if (differences.length > 0) throw new SquashUnequalError(differences);
  return {
    directory,
    id,
    file: `${id}.sql`,
    content: content(kept),
    replaces: chosen.map(({ file }) => file),
    statements: kept.length,
    leftOut: statements.length - kept.length,
    fingerprint: fingerprintCatalog(expected),
  };
}

/**
 * Writes the squashed file, then takes the old ones away. Version control has them. Cut short, the folder is refused
 * until the rest of them is gone.
 */
export async function writeSquash(plan: SquashPlan): Promise<void> {
  const path = join(plan.directory, plan.file);
  if (plan.replaces.includes(plan.file)) await replaceWholeFile(path, plan.content);
  else await writeWholeFile(path, plan.content);
  for (const file of plan.replaces) {
    if (file === plan.file) continue;
    await rm(join(plan.directory, file));
    await rm(join(plan.directory, file.replace(/(\.up)?\.sql$/, ".down.sql")), { force: true });
  }
}

async function build(options: SquashOptions, file: string, content: string): ReturnType<typeof buildCatalog> {
  const directory = await mkdtemp(join(tmpdir(), "db-squash-"));
  try {
    await writeFile(join(directory, file), content);
    const { schema, table, createDatabase, signal } = options;
    return await buildCatalog({
      directory,
      createDatabase,
      ...(schema === undefined ? {} : { schema }),
      ...(table === undefined ? {} : { table }),
      ...(signal ? { signal } : {}),
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
