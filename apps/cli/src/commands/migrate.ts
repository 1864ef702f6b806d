import { formatDuration } from "@db/core";
import type { MigrationPlan, MigrationService, MigrationStatus, Orchestrator } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { writeFileArgument } from "../file-argument.ts";
import { findingsText } from "../findings-text.ts";
import { apply, changesOf, folder, open, readPlan, reportText } from "../migration-command.ts";
import { textTable } from "../text-table.ts";

/** `db migrate status` */
export async function status(context: Context, input: Input): Promise<CommandResult> {
  const migrations = await context.migrations();
  const report = await migrations.status(folder(input));
  const rows = report.migrations.map(({ id, state, appliedAt, durationMs }) => [
    id,
    state,
    appliedAt?.slice(0, 19).replace("T", " ") ?? "",
    durationMs === null ? "" : formatDuration(durationMs),
  ]);
  const table = rows.length === 0 ? "no migrations" : textTable(["migration", "state", "applied (UTC)", "took"], rows);
  const findings = findingsText(report.findings, context.terminal);
  return {
    data: report,
    text: [table, `${report.applied} applied, ${report.pending} pending`, runnerText(report), findings]
      .filter((part) => part !== "")
      .join("\n"),
    findings: report.findings,
    gate: true,
    ...(report.pending > 0 ? { next: nextOf(report) } : {}),
  };
}

function runnerText({ runner }: MigrationStatus): string {
  if (runner === null) return "";
  const who = runner.pid === null ? "a runner behind a pooler" : `server process ${runner.pid}`;
  return `at work now: ${who}${runner.application === "" ? "" : ` (${runner.application})`}`;
}

/** What is under way online goes on by its own commands. */
function nextOf({ migrations, pending }: MigrationStatus): readonly string[] {
  const online = migrations.filter(({ state }) => state === "online").length;
  return [
    ...(online > 0 ? ["db migrate backfill", "db migrate contract", "db migrate cancel"] : []),
    ...(pending > online ? ["db migrate plan"] : []),
  ];
}

/** `db migrate plan` */
export async function plan(context: Context, input: Input): Promise<CommandResult> {
  const migrations = await context.migrations();
  const target = text(input, "to");
  const planned = await migrations.plan({ ...folder(input), ...(target === undefined ? {} : { to: target }) });
  if (toggle(input, "rehearse") === true && planned.migrations.length > 0) return rehearse(context, planned);
  const { formatMigrationPlan, formatPlanFile } = await import("@db/orchestrator/migrations");
  const out = text(input, "out");
  const json = out === undefined ? "" : formatPlanFile(planned);
  if (out !== undefined) await writeFileArgument(out, json, context);
  return {
    data: planned,
    text: out === "-" ? json.trimEnd() : formatMigrationPlan(planned),
    findings: planned.findings,
    changes: changesOf(planned),
    next:
      planned.migrations.length === 0 || planned.blocked
        ? []
        : [out === undefined ? "db migrate up" : `db migrate apply ${out}`],
  };
}

/** Runs a plan in a transaction that is rolled back, and tells the locks really taken. */
async function rehearse(context: Context, planned: MigrationPlan): Promise<CommandResult> {
  const migrations = await context.migrations();
  const report = await migrations.apply(planned, { execute: "rollback", signal: context.signal, allowBlocked: true });
  const locks = report.applied.flatMap(({ id, statements }) =>
    statements.map(({ kind, line, durationMs, locks: taken }) => [
      `${id}:${line}`,
      kind,
      formatDuration(durationMs),
      (taken ?? []).map(({ relation, mode }) => `${mode} on ${relation}`).join(", "),
    ]),
  );
  const left = report.remaining.map((id) => `${id} cannot run in a transaction and was left out`);
  return {
    data: report,
    text: [textTable(["statement", "kind", "took", "locks"], locks), ...left, reportText(report)].join("\n"),
    findings: planned.findings,
  };
}

/** `db migrate up` and `db migrate apply <plan>` */
export async function up(context: Context, input: Input): Promise<CommandResult> {
  const migrations = await context.migrations();
  const approved = text(input, "plan") ?? input.arguments["plan"];
  const to = text(input, "to");
  const planned =
    approved === undefined
      ? await migrations.plan({ ...folder(input), ...(to === undefined ? {} : { to }) })
      : await readPlan(approved, context, { given: text(input, "dir"), configured: migrations.directory });
  if (planned.direction === "down") await confirmUndo(context, await open(context), planned, input);
  return apply(context, { migrations }, planned, input);
}

/** `db migrate down` */
export async function down(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const to = text(input, "to");
  const planned = await orchestrator.migrations.planRollback({
    ...folder(input),
    ...(to === undefined ? {} : { to }),
    allowDataLoss: true,
  });
  await confirmUndo(context, orchestrator, planned, input);
  return apply(context, orchestrator, planned, input);
}

/** `db migrate to <version>` */
export async function to(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const planned = await orchestrator.migrations.planTo(input.arguments["version"]!, {
    ...folder(input),
    allowDataLoss: true,
  });
  if (planned.direction === "down") await confirmUndo(context, orchestrator, planned, input);
  return apply(context, orchestrator, planned, input);
}

/** `db migrate redo` */
export async function redo(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const { migrations } = orchestrator;
  const back = await migrations.planRollback({ ...folder(input), allowDataLoss: true });
  if (context.dryRun || back.migrations.length === 0) return apply(context, orchestrator, back, input);
  await refuseOneWay(migrations, back, input);
  await confirmUndo(context, orchestrator, back, input);
  const undone = await migrations.apply(back, {
    signal: context.signal,
    onProgress: context.onProgress,
    safetyBackup: toggle(input, "backup") === true,
  });
  const again = await migrations.plan({ ...folder(input), to: back.migrations[0]!.id });
  const done = await migrations.apply(again, { signal: context.signal, onProgress: context.onProgress });
  return {
    data: { undone, done },
    text: `${reportText(undone)}\n${reportText(done)}`,
    changes: [...changesOf(back), ...changesOf(again)],
    next: ["db migrate status"],
  };
}

/** What could not be applied again is told before it is taken back. @throws {UsageError} */
async function refuseOneWay(migrations: MigrationService, back: MigrationPlan, input: Input): Promise<void> {
  const [{ id } = { id: "" }] = back.migrations;
  const { problems } = await migrations.lint({ ...folder(input), all: true });
  if (problems.length > 0) throw new (await import("@db/orchestrator/migrations")).MigrationFilesError(problems);
  const standing = await migrations.status(folder(input));
  if (standing.migrations.some((one) => one.id === id && one.state !== "missing")) return;
  throw new UsageError(`${id} has no file of its name: once taken back it could not be applied again`, {
    hint: "Take it back with db migrate down, or restore its file.",
  });
}

async function confirmUndo(
  context: Context,
  { config }: Orchestrator,
  planned: MigrationPlan,
  input: Input,
): Promise<void> {
  if (context.dryRun || planned.migrations.length === 0) return;
  const { connection } = config;
  const hasBackup = toggle(input, "backup") === true;
  await context.confirm({
    name: connection!.database,
    host: `${connection!.host}:${connection!.port}`,
    losses: planned.migrations.map(({ id }) => `undoes ${id}`),
    safetyBackup: hasBackup ? "a full one is taken first" : "none is taken: --backup takes one first",
  });
}

/** `db migrate new <name>` */
export async function create(context: Context, input: Input): Promise<CommandResult> {
  if (text(input, "change") !== undefined || text(input, "add") !== undefined) return createChange(context, input);
  const { migrations } = await context.orchestrator({ config: await context.config({ requireConnection: false }) });
  const made = await migrations.create(input.arguments["name"]!, { ...folder(input), dryRun: context.dryRun });
  return {
    data: made,
    text: `${made.written ? "made" : "would make"} ${made.file}`,
    changes: [{ kind: "create_file", object: made.file }],
    next: ["db migrate plan"],
  };
}

/** `db migrate new --change table.column` and `--add table.column`: an online migration for a column. */
async function createChange(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const [change, add] = [text(input, "change"), text(input, "add")];
  if (change !== undefined && add !== undefined) {
    throw new UsageError("--change and --add are both given", { hint: "Give one of them." });
  }
  const [column = "", ...rest] = (change ?? add ?? "").split(".").toReversed();
  const [type, rename, value, back] = ["type", "rename", "value", "back"].map((name) => text(input, name));
  const notNull = toggle(input, "not-null");
  const made = await migrations.createChange(
    {
      kind: add === undefined ? "change" : "add",
      table: rest.toReversed().join("."),
      column,
      ...(type === undefined ? {} : { type }),
      ...(rename === undefined ? {} : { rename }),
      ...(value === undefined ? {} : { up: value }),
      ...(back === undefined ? {} : { down: back }),
      ...(notNull === undefined ? {} : { notNull }),
    },
    { ...folder(input), name: input.arguments["name"]!, dryRun: context.dryRun },
  );
  const schema = made.viewSchema === null ? [] : [`the new version of the application uses schema ${made.viewSchema}`];
  return {
    data: made,
    text: [`${made.written ? "made" : "would make"} ${made.file}`, ...schema].join("\n"),
    changes: [{ kind: "create_file", object: made.file }],
    warnings: made.notCarriedOver.map((what) => `${what} is not carried over to the new column: add it to the file`),
    next: ["db migrate expand", "db migrate backfill", "db migrate contract"],
  };
}
