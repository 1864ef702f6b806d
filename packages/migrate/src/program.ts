import { type Logger, messageOf } from "@db/core";
import type { Kysely } from "kysely";
import type { MigrationSection } from "./migration-file.ts";
import { excerptOf, type FileProblem, placeOf } from "./file-problem.ts";
import { readDirectiveLine, readSectionSettings, sectionDefaults } from "./directive.ts";

/** What a migration written as a program gets. */
export interface MigrationContext {
  /** Runs one statement in the migration's transaction, or session with `transaction=false`. */
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<{ readonly rows: Row[] }>;
  /** A Kysely on the same session. @throws when the package `kysely` is not installed */
  // oxlint-disable-next-line typescript/no-explicit-any -- its tables are of the schema as it was then
  readonly kysely: Kysely<any>;
  readonly log: Logger;
  /** Fires when the run is to stop. */
  readonly signal: AbortSignal;
}

/** A migration written as a program, in TypeScript or JavaScript. */
export interface ProgramMigration {
  up(context: MigrationContext): Promise<void>;
  down?(context: MigrationContext): Promise<void>;
  /** Runs after `up`, in the same transaction; throws when something is not as it should be. */
  verify?(context: MigrationContext): Promise<void>;
}

/** Types a migration: `export default defineMigration({ async up({ sql }) { … } })`. */
export function defineMigration(migration: ProgramMigration): ProgramMigration {
  return migration;
}

/** A program as sections of a file: settings stand in `// migrate:up …` and `// migrate:down …` lines. */
export function readProgram(
  file: string,
  text: string,
): { readonly up: MigrationSection; readonly down: MigrationSection | null; readonly problems: FileProblem[] } {
  const problems: FileProblem[] = [];
  const settings = { up: sectionDefaults, down: sectionDefaults };
  for (const match of text.matchAll(/^[ \t]*\/\/([ \t]*migrate:.*)$/gm)) {
    try {
      const directive = readDirectiveLine(`--${match[1]}`);
      if (directive?.word !== "up" && directive?.word !== "down") {
        throw new Error("a program has only migrate:up and migrate:down lines");
      }
      settings[directive.word] = readSectionSettings(directive.rest);
    } catch (error) {
      const place = placeOf(text, match.index);
      problems.push({
        code: "MIGRATE-DIRECTIVE",
        file,
        ...place,
        message: messageOf(error),
        excerpt: excerptOf(text, place),
        hint: 'Write "// migrate:up transaction=false lock_timeout=3s".',
      });
    }
  }
  const section = (word: "up" | "down"): MigrationSection => ({
    settings: settings[word],
    pieces: [{ sql: text, offset: 0 }],
    file,
    text,
    program: word,
  });
  const hasDown = /\bdown\s*[(:=]|\bfunction\s+down\b/.test(text);
  return { up: section("up"), down: hasDown ? section("down") : null, problems };
}
