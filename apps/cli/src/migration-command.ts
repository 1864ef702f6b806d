import { existsSync } from "node:fs";
import { formatDuration, messageOf, parseDurationMs } from "@db/core";
import type { MigrationPlan, MigrationReport, MigrationService, Orchestrator } from "@db/orchestrator";
import { type Change, type CommandResult, type Input, text, toggle } from "./command.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";
import { readFileArgument } from "./file-argument.ts";
import { findingsText } from "./findings-text.ts";
import { textTable } from "./text-table.ts";

/** Applies a plan, or tells it with `--dry-run`. */
export async function apply(
  context: Context,
  { migrations }: { readonly migrations: MigrationService },
  planned: MigrationPlan,
  input: Input,
): Promise<CommandResult> {
  const changes = changesOf(planned);
  if (planned.migrations.length === 0 && planned.adopt.length === 0 && !planned.blocked) {
    const nothing = planned.direction === "down" ? "nothing to take back" : "nothing pending";
    return {
      data: planned,
      text: withWarnings(nothing, planned, context),
      changes,
      findings: planned.findings,
    };
  }
  if (context.dryRun) {
    const { formatMigrationPlan } = await import("@db/orchestrator/migrations");
    return { data: planned, text: formatMigrationPlan(planned), changes, findings: planned.findings };
  }
  const report = await migrations.apply(planned, {
    onProgress: context.onProgress,
    signal: context.signal,
    safetyBackup: toggle(input, "backup") === true,
    ...planAge(input),
  });
  const done = new Set(report.applied.map(({ id }) => id));
  // That it failed before is no news once it has run.
  const findings = planned.findings.filter(
    ({ id, migration }) => !/^MIGRATE-(FAILED|INTERRUPTED)$/.test(id) || !done.has(migration ?? ""),
  );
  const told = withWarnings(reportText(report), { ...planned, findings }, context);
  return { data: report, text: told, changes, findings: planned.findings, next: ["db migrate status"] };
}

/** Below what was done, what of the plan deserves a look: a database ahead of the folder, a rename, a dangerous lock. */
function withWarnings(done: string, planned: MigrationPlan, { terminal }: Context): string {
  const warnings = findingsText(
    planned.findings.filter(({ severity }) => severity !== "info"),
    terminal,
    10,
  );
  return warnings === "" ? done : `${done}\n${warnings}`;
}

const verbs = { up: "applied", down: "taken back", baseline: "applied" } as const;

export function reportText(report: MigrationReport): string {
  const rows = report.applied.map(({ id, durationMs, statements }) => [
    id,
    statements.length,
    formatDuration(durationMs),
  ]);
  const adopted = report.adopted.length === 0 ? "" : `${report.adopted.length} recorded without running\n`;
  const phase = report.applied[0]?.phase ?? null;
  const verb =
    report.execute === "rollback"
      ? "rehearsed and rolled back"
      : phase !== null && report.direction === "up"
        ? `through ${phase}`
        : verbs[report.direction];
  return `${rows.length === 0 ? "" : `${textTable(["migration", "statements", "took"], rows)}\n`}${adopted}${report.applied.length} ${verb} in ${formatDuration(report.durationMs)}`;
}

export function changesOf(planned: MigrationPlan): readonly Change[] {
  return planned.migrations.map(({ id, statements }) => ({
    kind: planned.direction === "down" ? "undo_migration" : "apply_migration",
    object: id,
    sql: statements.map(({ sql }) => sql).join(";\n"),
    destructive: planned.direction === "down",
  }));
}

/**
 * A stored plan. Where it was made on another machine, its folder is the one here: the checksums say whether its files are
 * the same.
 * @throws {UsageError} when there is no such file, and as `readPlanFile`
 */
export async function readPlan(
  file: string,
  context: Context,
  directories: { readonly given: string | undefined; readonly configured: string },
): Promise<MigrationPlan> {
  const { readPlanFile } = await import("@db/orchestrator/migrations");
  let content: string;
  try {
    content = await readFileArgument(file, context);
  } catch (cause) {
    const hint = "Make one with: db migrate plan -o plan.json";
    throw new UsageError(`the plan ${file} cannot be read: ${messageOf(cause)}`, { cause, hint });
  }
  const plan = readPlanFile(content);
  const { given, configured } = directories;
  return { ...plan, directory: given ?? (existsSync(plan.directory) ? plan.directory : configured) };
}

/** `--max-age` of a stored plan. */
function planAge(input: Input): { readonly maxPlanAgeMs?: number } {
  const age = text(input, "max-age");
  return age === undefined ? {} : { maxPlanAgeMs: parseDurationMs(age) };
}

/** `--dir` and `--set`, as the services take them. */
export function folder(input: Input): { directory?: string; placeholders?: Record<string, string> } {
  const directory = text(input, "dir");
  const given = input.flags["set"];
  const pairs = (Array.isArray(given) ? (given as readonly string[]) : []).map((pair) => {
    const [name = "", ...value] = pair.split("=");
    if (name === "" || value.length === 0) {
      throw new UsageError(`--set is "${pair}", not name=value`, { hint: "Write --set schema=app." });
    }
    return [name, value.join("=")] as const;
  });
  return {
    ...(directory === undefined ? {} : { directory }),
    ...(pairs.length === 0 ? {} : { placeholders: Object.fromEntries(pairs) }),
  };
}

/** The services a migration command works with. */
export function open(context: Context): Promise<Orchestrator> {
  return context.orchestrator();
}
