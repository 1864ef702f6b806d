import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { compareFindings } from "@db/core";
import { MigrationOptionsError, MigrationsRefusedError } from "../errors.ts";
import type { MigrationFinding } from "../finding.ts";
import { type ForeignMigration, foreignTools, type ForeignToolName, importFinding } from "./foreign-tool.ts";
import { writeWholeFile } from "../whole-file.ts";
import { originLine } from "./origin.ts";

export interface ImportOptions {
  /** Folder of the other tool. */
  readonly source: string;
  /** Where the files go; made when it is not there, and must hold no migrations yet. */
  readonly directory: string;
  /** Whose folder it is. Default: recognised by what is in it. */
  readonly tool?: ForeignToolName;
}

/** A file to be written. */
export interface ImportedFile {
  readonly id: string;
  /** Name in the new folder. */
  readonly file: string;
  /** Where it came from, from the source folder. */
  readonly source: string;
  /** What the other tool's history calls it. */
  readonly key: string;
  readonly content: string;
}

/** An import as plain JSON: print it, then write it. */
export interface ImportPlan {
  readonly tool: ForeignToolName;
  readonly source: string;
  readonly directory: string;
  readonly files: readonly ImportedFile[];
  /** Worst first; a critical one means a migration that would be missing or would not run. */
  readonly findings: readonly MigrationFinding[];
  readonly blocked: boolean;
}

/**
 * Reads another tool's folder and says which files it becomes. The first line of each keeps what the other tool's
 * history calls it, so that `planMigrations` takes over a database migrated by that tool. Writes nothing. Migrations
 * that are programs (Knex, node-pg-migrate) are run with no database behind them, to write down their SQL.
 * @throws {MigrationFolderError} {@link MigrationFilesError}
 * @throws {MigrationOptionsError} when the folder is of no tool known, or the target holds migrations
 */
export async function planImport(options: ImportOptions): Promise<ImportPlan> {
  const { source, directory } = options;
  const { foreignToolsByName } = await import("./registry.ts");
  const tool = foreignToolsByName[options.tool ?? (await recognise(source))];
  const folder = await tool.readFolder(source);
  if (folder.migrations.length === 0 && folder.findings.length === 0) {
    throw new MigrationOptionsError(`${source} holds no migrations of ${tool.name}`, {
      hint: "Give the folder of the migrations themselves, and the tool's name if it was guessed wrong.",
    });
  }
  const ids = idsOf(folder.migrations);
  const findings = [...folder.findings];
  const files: ImportedFile[] = [];
  for (const [index, migration] of folder.migrations.entries()) {
    const id = ids[index] ?? "";
    const depends = migration.depends.map((key) => ids[folder.migrations.findIndex((one) => one.key === key)] ?? key);
    const content = await contentOf(tool.name, migration, depends, findings);
    files.push({ id, file: `${id}.sql`, source: migration.file, key: migration.key, content });
  }
  await refuseOthers(directory, files);
  return {
    tool: tool.name,
    source,
    directory,
    files,
    findings: findings.toSorted(compareFindings),
    blocked: findings.some(({ blocks }) => blocks),
  };
}

/** @throws {MigrationOptionsError} when the target holds migrations that are none of an import cut short */
async function refuseOthers(directory: string, files: readonly ImportedFile[]): Promise<void> {
  const contents = new Map(files.map(({ file, content }) => [file, content]));
  for (const name of await readdir(directory).catch(() => [] as string[])) {
    if (!/^(\d|R__).*\.(sql|ts|mts|js|mjs)$/.test(name)) continue;
    if (contents.get(name) === (await readFile(join(directory, name), "utf8"))) continue;
    throw new MigrationOptionsError(`${directory} already holds migrations: ${name}`, {
      hint: "Import into an empty folder; new migrations go after those imported.",
    });
  }
}

/**
 * Writes the files of an import; never over one that is there. Each is there whole or not at all, and an import cut short
 * is gone on with by another of the same source.
 * @throws {MigrationsRefusedError} when a finding blocks, unless `allowBlocked`
 */
export async function writeImport(plan: ImportPlan, options: { readonly allowBlocked?: boolean } = {}): Promise<void> {
  if (plan.blocked && options.allowBlocked !== true) {
    throw new MigrationsRefusedError(plan.findings.filter(({ blocks }) => blocks));
  }
  await mkdir(plan.directory, { recursive: true });
  for (const { file, content } of plan.files) {
    const path = join(plan.directory, file);
    const there = await readFile(path, "utf8").catch(() => null);
    if (there !== content) await writeWholeFile(path, content);
  }
}

async function recognise(source: string): Promise<ForeignToolName> {
  const { foreignToolsByName } = await import("./registry.ts");
  const { namesIn } = await import("./source-folder.ts");
  const { files, folders } = await namesIn(source);
  const entries = [...files, ...folders];
  for (const tool of Object.values(foreignToolsByName)) {
    if (await tool.recognises(source, entries)) return tool.name;
  }
  throw new MigrationOptionsError(`${source} is not the folder of a tool known here`, {
    hint: `Give the folder of the migrations themselves, or say whose it is: ${foreignTools.join(", ")}.`,
  });
}

/** The tool's own versions where they are numbers that rise; else numbers in the tool's order. */
function idsOf(migrations: readonly ForeignMigration[]): string[] {
  const versioned = migrations.filter(({ kind }) => kind === "versioned");
  const numbers = versioned.map(({ version }) =>
    version !== null && /^\d{1,20}$/.test(version) ? BigInt(version) : null,
  );
  const keeps = numbers.every((number, index) => {
    const previous = numbers[index - 1];
    return number !== null && (index === 0 || (previous !== null && previous !== undefined && previous < number));
  });
  const width = Math.max(4, String(versioned.length).length);
  let next = 0;
  return migrations.map(({ kind, version, name }) => {
    const words = name.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "") || "migration";
    if (kind === "repeatable") return `R__${words}`;
    next += 1;
    return `${keeps ? version : String(next).padStart(width, "0")}_${words}`;
  });
}

async function contentOf(
  tool: ForeignToolName,
  migration: ForeignMigration,
  depends: readonly string[],
  findings: MigrationFinding[],
): Promise<string> {
  const { withoutTransaction } = await import("./transaction-lines.ts");
  const section = async (word: string, settings: string, sql: string | null): Promise<string> => {
    if (sql === null) return "";
    const clean = await withoutTransaction(sql);
    const { file } = migration;
    if (clean.problem !== null) {
      const title = `the ${word} SQL of ${file} cannot be parsed: ${clean.problem}`;
      const hint = "Take psql's own commands and the tool's placeholders out of it.";
      findings.push(importFinding("IMPORT-SYNTAX", word === "up" ? "critical" : "warn", file, title, hint));
    } else if (clean.entangled) {
      const title = `the ${word} SQL of ${file} begins or ends transactions in the middle`;
      const hint = "Split it into one migration per transaction.";
      findings.push(importFinding("IMPORT-TRANSACTION", word === "up" ? "critical" : "warn", file, title, hint));
    } else if (clean.removed) {
      const title = `BEGIN and COMMIT of ${file} are left out: the runner begins and commits`;
      findings.push(importFinding("IMPORT-TRANSACTION", "info", file, title, "Nothing to do."));
    }
    const text = clean.sql.replace(/^\uFEFF/, "").trim();
    if (clean.statements > 0) return `-- migrate:${word}${settings}\n${text}\n`;
    if (word !== "up") return "";
    const title = `${file} holds no SQL`;
    findings.push(importFinding("IMPORT-EMPTY", "info", file, title, "It becomes a migration that does nothing."));
    return `-- migrate:${word}${settings}\n${text}${text === "" ? "" : "\n"}select;\n`;
  };
  const settings = [
    migration.transactional ? "" : " transaction=false",
    depends.length > 0 ? ` depends=${depends.join(",")}` : "",
  ].join("");
  return [
    `${originLine({ tool, key: migration.key, checksum: migration.checksum })}\n`,
    await section("up", settings, migration.up),
    await section("verify", "", migration.verify),
    await section("down", migration.transactional ? "" : " transaction=false", migration.down),
  ].join("");
}
