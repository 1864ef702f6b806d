import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { messageOf } from "@db/core";
import { readOrigin } from "./adopt/origin.ts";
import { sha256 } from "./checksum.ts";
import { type DrizzleJournalEntry, readDrizzleJournal } from "./drizzle-journal.ts";
import { MigrationFilesError, MigrationFolderError } from "./errors.ts";
import { excerptOf, type FileProblem, placeOf } from "./file-problem.ts";
import { fillPlaceholders, type Placeholders } from "./placeholder.ts";
import { readProgram } from "./program.ts";
import { readSquashed } from "./squash-header.ts";
import { type MigrationFile, readSections, sectionChecksum, splitAtBreakpoints } from "./migration-file.ts";

/** Every migration of a folder, in the order they run. */
export interface MigrationFolder {
  /** As given. */
  readonly directory: string;
  /** `drizzle` when `meta/_journal.json` orders the files. */
  readonly format: "sql" | "drizzle";
  readonly migrations: readonly MigrationFile[];
}

/**
 * Reads a folder of `<version>_<name>.sql` files and programs, or one written by drizzle-kit (0.x journal). Nothing is
 * parsed or loaded.
 * @throws {MigrationFolderError} when the folder cannot be read
 * @throws {MigrationFilesError} with every problem of every file
 */
export async function readMigrationFolder(directory: string, placeholders?: Placeholders): Promise<MigrationFolder> {
  let names: string[];
  let hasJournal: boolean;
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
    names.sort();
    hasJournal = entries.some(({ name }) => name === "meta");
  } catch (error) {
    throw new MigrationFolderError(`cannot read the migrations folder ${directory}: ${messageOf(error)}`, {
      cause: error,
      hint: "Give the folder that holds the .sql files, or begin one: db migrate new <name>, createMigrationFile in code.",
    });
  }
  const problems: FileProblem[] = [];
  const journal = hasJournal ? await readDrizzleJournal(directory, problems) : null;
  const reader = new FileReader(directory, new Set(names), problems, placeholders);
  const migrations = journal ? await reader.readJournal(journal) : await reader.readNames(names);
  problems.sort((a, b) => (a.file === b.file ? (a.line ?? 0) - (b.line ?? 0) : a.file < b.file ? -1 : 1));
  if (problems.length > 0) throw new MigrationFilesError(problems);
  return { directory, format: journal ? "drizzle" : "sql", migrations };
}

const programName = /^\d+[_-].*\.(ts|mts|js|mjs)$/;
const filesPerTurn = 128;
const utf8 = new TextDecoder("utf-8", { fatal: true });

class FileReader {
  readonly #directory: string;
  readonly #names: ReadonlySet<string>;
  readonly #problems: FileProblem[];

  readonly #placeholders: Placeholders | undefined;

  constructor(
    directory: string,
    names: ReadonlySet<string>,
    problems: FileProblem[],
    placeholders: Placeholders | undefined,
  ) {
    this.#placeholders = placeholders;
    this.#directory = directory;
    this.#names = names;
    this.#problems = problems;
  }

  async readNames(names: readonly string[]): Promise<MigrationFile[]> {
    const stems = names.filter((name) => this.#isMigration(name));
    const migrations = await this.#readAll(stems, (name) => this.#readFile(name, null));
    this.#refuseReplaced(migrations);
    this.#refuseDuplicates(migrations);
    return migrations.sort(compareMigrations);
  }

  async readJournal(entries: readonly DrizzleJournalEntry[]): Promise<MigrationFile[]> {
    return this.#readAll(entries, (entry) => {
      if (this.#names.has(`${entry.tag}.sql`)) return this.#readFile(`${entry.tag}.sql`, entry.when);
      this.#report("MIGRATE-JOURNAL", "meta/_journal.json", `entry ${entry.tag} has no file ${entry.tag}.sql`, {
        hint: "Restore the file, or remove the entry with drizzle-kit drop.",
      });
      return null;
    });
  }

  // Small files read one by one cost a tenth of what the thread pool takes to hand each over; others get their turn.
  async #readAll<T>(items: readonly T[], read: (item: T) => MigrationFile | null): Promise<MigrationFile[]> {
    const migrations: MigrationFile[] = [];
    for (const [index, item] of items.entries()) {
      if (index > 0 && index % filesPerTurn === 0) await setImmediate();
      const migration = read(item);
      if (migration) migrations.push(migration);
    }
    return migrations;
  }

  #isMigration(name: string): boolean {
    if (name.endsWith(".down.sql")) return false;
    if (programName.test(name)) return !name.endsWith(".d.ts");
    if (!name.endsWith(".sql")) return false;
    if (/^(\d{1,20}([_-].*)?|R__.+)\.sql$/.test(name)) return true;
    this.#report("MIGRATE-FILE-NAME", name, "the name has no version before it", {
      hint: "Name it <version>_<name>.sql, such as 0003_add_email.sql or .ts, or R__<name>.sql for a repeatable.",
    });
    return false;
  }

  #readFile(name: string, drizzleWhen: number | null): MigrationFile | null {
    // drizzle's own checksum is of the bytes.
    const bytes = drizzleWhen === null ? null : readFileSync(join(this.#directory, name));
    const text = bytes ? this.#decode(name, bytes) : this.#readText(name);
    if (text === null) return null;
    if (programName.test(name)) return this.#readProgram(name, text);
    const filled = fillPlaceholders(name, text, this.#placeholders, this.#problems);
    const sections = readSections(name, filled);
    this.#problems.push(...sections.problems);
    const id = name.replace(/(\.up)?\.sql$/, "");
    const isRepeatable = drizzleWhen === null && id.startsWith("R__");
    const version = isRepeatable ? "R" : (/^\d+/.exec(id)?.[0] ?? "");
    const up = drizzleWhen === null ? sections.up : splitAtBreakpoints(sections.up);
    return {
      id,
      version,
      name: id.replace(/^(R__|\d+[_-]?)/, "") || id,
      kind: isRepeatable ? "repeatable" : "versioned",
      file: name,
      // Of the text as it stands in the file: another value of a placeholder is no edit.
      checksum: sectionChecksum(filled === text ? up : readSections(name, text).up),
      up,
      down: sections.down ?? this.#readDownFile(`${id}.down.sql`),
      verify: sections.verify,
      cancel: sections.cancel,
      online: sections.online,
      allowances: sections.allowances,
      drizzle: bytes === null || drizzleWhen === null ? null : { hash: sha256(bytes), when: drizzleWhen },
      origin: readOrigin(text),
      squashes: readSquashed(text),
    };
  }

  #readProgram(name: string, text: string): MigrationFile {
    const { up, down, problems } = readProgram(name, text);
    this.#problems.push(...problems);
    const id = name.replace(/\.[a-z]+$/, "");
    return {
      id,
      version: /^\d+/.exec(id)?.[0] ?? "",
      name: id.replace(/^\d+[_-]?/, "") || id,
      kind: "versioned",
      file: name,
      checksum: sectionChecksum(up),
      up,
      down: down ?? this.#readDownFile(`${id}.down.sql`),
      verify: null,
      cancel: null,
      online: false,
      allowances: [],
      drizzle: null,
      origin: null,
      squashes: [],
    };
  }

  #readDownFile(name: string): MigrationFile["down"] {
    if (!this.#names.has(name)) return null;
    const text = this.#readText(name);
    if (text === null) return null;
    const filled = fillPlaceholders(name, text, this.#placeholders, this.#problems);
    const sections = readSections(name, filled.replace(/^([ \t]*--[ \t]*migrate:)[ \t]*down/m, "$1up"));
    this.#problems.push(...sections.problems);
    return sections.up;
  }

  #readText(name: string): string | null {
    const path = join(this.#directory, name);
    const text = readFileSync(path, "utf8");
    // In place of what is no UTF-8 stands a mark. Only a text with one is looked at byte by byte: it may be its own.
    if (/[\0\uFFFD]/.test(text)) return this.#decode(name, readFileSync(path));
    return text.replace(/^\uFEFF/, "");
  }

  #decode(name: string, bytes: Uint8Array): string | null {
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
      if (isUtf16) {
        this.#report("MIGRATE-ENCODING", name, "the file is UTF-16", { hint: "Save it as UTF-8." });
      } else {
        const lenient = new TextDecoder().decode(bytes);
        this.#reportAt(name, lenient, lenient.indexOf("\uFFFD"), "the file is not valid UTF-8", "Save it as UTF-8.");
      }
      return null;
    }
    const zero = text.indexOf("\0");
    if (zero === -1) return text;
    // To the parser, and to the server, the text would end here.
    const hint = "Remove it: PostgreSQL takes no zero byte in a text.";
    this.#reportAt(name, text, zero, "the file holds a zero byte", hint);
    return null;
  }

  #reportAt(file: string, text: string, index: number, message: string, hint: string): void {
    const place = placeOf(text, index);
    const excerpt = excerptOf(text.replaceAll("\0", "\uFFFD"), place);
    this.#problems.push({ code: "MIGRATE-ENCODING", file, ...place, message, excerpt, hint });
  }

  /** Files that a squashed one stands for: it was cut short, or they came back with a merge. */
  #refuseReplaced(migrations: readonly MigrationFile[]): void {
    const replacing = new Map(
      migrations.flatMap(({ id, file, squashes }) => squashes.map((old) => [old, { id, file }])),
    );
    for (const { id, file } of migrations) {
      const by = replacing.get(id);
      if (!by || by.id === id) continue;
      this.#report("MIGRATE-DUPLICATE", file, `${by.file} stands for it`, {
        hint: "Remove the old file: version control has it, and databases that ran it know the new one.",
      });
    }
  }

  #refuseDuplicates(migrations: readonly MigrationFile[]): void {
    const seen = new Map<string, string>();
    const replaced = new Set(migrations.flatMap(({ id, squashes }) => squashes.filter((old) => old !== id)));
    for (const migration of migrations) {
      const key = migration.kind === "repeatable" ? migration.id : migration.version.replace(/^0+(?=\d)/, "");
      const first = seen.get(key);
      if (replaced.has(migration.id)) continue;
      if (first === undefined) seen.set(key, migration.file);
      else {
        this.#report("MIGRATE-DUPLICATE", migration.file, `version ${migration.version} is also that of ${first}`, {
          hint: "Give one of the two files a later version.",
        });
      }
    }
  }

  #report(code: FileProblem["code"], file: string, message: string, { hint }: { hint: string }): void {
    this.#problems.push({ code, file, line: null, column: null, message, excerpt: null, hint });
  }
}

/** Versioned ones by the number before their name, then repeatables by name. */
export function compareMigrations(
  a: Pick<MigrationFile, "kind" | "version" | "id">,
  b: Pick<MigrationFile, "kind" | "version" | "id">,
): number {
  if (a.kind !== b.kind) return a.kind === "versioned" ? -1 : 1;
  return compareVersions(a.version, b.version) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Compares two strings of digits as numbers, of any length. */
export function compareVersions(a: string, b: string): number {
  const left = a.replace(/^0+/, "");
  const right = b.replace(/^0+/, "");
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
