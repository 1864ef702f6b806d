import { type DatabaseLike, toDatabase } from "@db/core";
import { type Catalog, collectCatalog } from "./catalog.ts";
import { resolveMigration } from "./comparison.ts";
import { alterCommands } from "./effects.ts";
import { MigrationFilesError, MigrationOptionsError } from "./errors.ts";
import type { FileProblem } from "./file-problem.ts";
import type { MigrationFinding } from "./finding.ts";
import { readMigrationFolder } from "./folder.ts";
import type { HistoryEntry } from "./history.ts";
import { lint } from "./lint/lint.ts";
import { type MigrationFile, type MigrationSection, readSections } from "./migration-file.ts";
import { type CancelOptions, resolveLimits, type RollbackOptions } from "./options.ts";
import { loadParser } from "./parser.ts";
import type { MigrationPlan } from "./plan.ts";
import { assemblePlan, readInputs } from "./planning.ts";
import { parseMigration, plannedMigration } from "./planned-migration.ts";
import type { MigrationStatement } from "./statement.ts";
import { relationOf, WorkingCatalog } from "./working-catalog.ts";

/** What `planRollback` does. */
export function makeRollbackPlan(db: DatabaseLike, options: RollbackOptions): Promise<MigrationPlan> {
  return undoPlan(db, options, (entries) => {
    const applied = entries.filter((entry) => entry.state === "applied" && entry.kind === "versioned");
    return { word: "down", entries: chooseEntries(applied, options.to, options.steps ?? 1) };
  });
}

/** What `planCancel` does. */
export function makeCancelPlan(db: DatabaseLike, options: CancelOptions): Promise<MigrationPlan> {
  return undoPlan(db, options, (entries) => {
    const begun = entries.filter((entry) => !entry.transactional && /^(running|failed)$/.test(entry.state));
    const chosen = options.migration === undefined ? begun.at(-1) : resolveMigration(options.migration, begun);
    return { word: "cancel", entries: chosen ? [chosen] : [] };
  });
}

async function undoPlan(
  db: DatabaseLike,
  options: RollbackOptions,
  choose: (entries: readonly HistoryEntry[]) => { word: "down" | "cancel"; entries: readonly HistoryEntry[] },
): Promise<MigrationPlan> {
  const limits = resolveLimits(options);
  const steps = options.steps ?? 1;
  if (!Number.isInteger(steps) || steps < 1)
    throw new MigrationOptionsError(`steps must be a whole number from 1, got ${steps}`);
  const folder = await readMigrationFolder(options.directory, options.placeholders);
  return toDatabase(db).withSession(async (session) => {
    const inputs = await readInputs(session, folder, options);
    const { word, entries: chosen } = choose(inputs.entries ?? []);
    const findings: MigrationFinding[] = [];
    const problems: FileProblem[] = [];
    const catalog = chosen.length > 0 ? await collectCatalog(session, inputs.history.schema) : null;
    if (!catalog) return assemblePlan("down", inputs, { catalog, adopt: [], migrations: [], findings });
    const parser = await loadParser();
    const downs = chosen.flatMap((entry) => {
      const file = folder.migrations.find((one) => one.id === entry.id) ?? null;
      const section = undoSection(word, entry, file);
      if (!section) {
        findings.push(
          finding("MIGRATE-NO-DOWN", entry, `${entry.id} has no ${word} section, in its file or in the history`, {
            hint: `Write a "-- migrate:${word}" section into its file.`,
          }),
        );
        return [];
      }
      return [{ entry, file, section, parsed: parseMigration(parser, section, null, catalog.serverVersion, problems) }];
    });
    if (problems.length > 0) throw new MigrationFilesError(problems);
    const subjects = downs.map(({ entry, parsed }) => ({
      id: entry.id,
      statements: parsed.statements,
      transactional: parsed.transactional,
      allowances: [],
    }));
    const judged = lint(subjects, catalog, { blocks: "never", exempt: "plan" });
    // What a cancel takes away, the migration itself had made.
    if (!options.allowDataLoss && word === "down") {
      for (const { entry, parsed } of downs) findings.push(...lossFindings(entry, parsed.statements, catalog));
    }
    const migrations = downs.map(({ entry, file, section, parsed }) =>
      plannedMigration(
        {
          id: entry.id,
          version: entry.version,
          name: entry.name,
          kind: entry.kind,
          file: section.file,
          checksum: entry.checksum,
          drizzle: file?.drizzle ?? null,
        },
        parsed,
        judged.effects.get(entry.id) ?? [],
        {
          settings: section.settings,
          limits,
          serverVersion: catalog.serverVersion,
          chain: entry.chain,
          previousState: entry.state,
          previousDone: 0,
          downSql: entry.downSql,
        },
      ),
    );
    // In a rollback destroying is the purpose: of the lint findings only what slows or blocks the server counts.
    const costs = judged.findings.filter((one) => one.rule !== "drop-column" && one.rule !== "drop-object");
    return assemblePlan("down", inputs, { catalog, adopt: [], migrations, findings: [...findings, ...costs] });
  });
}

function chooseEntries(applied: readonly HistoryEntry[], to: string | undefined, steps: number): HistoryEntry[] {
  if (to === undefined) return applied.slice(-steps).toReversed();
  const stays = resolveMigration(to, applied);
  return applied.slice(applied.indexOf(stays) + 1).toReversed();
}

/** The file's section when the file is still what was applied, else the history's. */
function undoSection(
  word: "down" | "cancel",
  entry: HistoryEntry,
  file: MigrationFile | null,
): MigrationSection | null {
  const own = file?.[word] ?? null;
  if (own && file?.checksum === entry.checksum) return own;
  if (entry.downSql === null) return own;
  const name = `${entry.id} (${word} section in the history)`;
  return readSections(name, `-- migrate:up\n${entry.downSql}`)[word];
}

function lossFindings(
  entry: HistoryEntry,
  statements: readonly MigrationStatement[],
  catalog: Catalog,
): MigrationFinding[] {
  const working = new WorkingCatalog(catalog);
  const lost: { readonly what: string; readonly line: number }[] = [];
  for (const { node, line } of statements) {
    if ("DropStmt" in node && node.DropStmt.removeType === "OBJECT_TABLE") {
      for (const object of node.DropStmt.objects ?? []) {
        const table = working.table(relationOf(object));
        if (table && table.rows !== 0) lost.push({ what: `table ${table.schema}.${table.name}`, line });
      }
    } else if ("DropStmt" in node && node.DropStmt.removeType === "OBJECT_SCHEMA") {
      for (const object of node.DropStmt.objects ?? []) {
        const schema = "String" in object ? object.String.sval : "";
        const holds = [...working.tables.values()].some((table) => table.schema === schema && table.rows !== 0);
        if (holds) lost.push({ what: `schema ${schema}`, line });
      }
    } else if ("AlterTableStmt" in node) {
      const table = working.table(node.AlterTableStmt.relation);
      for (const { subtype, name } of alterCommands(node.AlterTableStmt)) {
        if (subtype !== "AT_DropColumn" || !table || table.rows === 0) continue;
        lost.push({ what: `column ${name} of ${table.schema}.${table.name}`, line });
      }
    } else if ("TruncateStmt" in node) lost.push({ what: "all rows of the truncated tables", line });
  }
  return lost.map(({ what, line }) => ({
    ...finding("MIGRATE-DATA-LOSS", entry, `undoing ${entry.id} loses ${what}, which holds rows`, {
      hint: "Take a backup, then allow it with allowDataLoss.",
    }),
    line,
    column: 1,
  }));
}

function finding(id: string, entry: HistoryEntry, title: string, extra: { readonly hint: string }): MigrationFinding {
  return {
    id,
    severity: "critical",
    title,
    hint: extra.hint,
    migration: entry.id,
    rule: null,
    file: null,
    line: null,
    column: null,
    blocks: true,
    safer: null,
  };
}
