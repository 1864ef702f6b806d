import { formatDuration } from "@db/core";
import { formatMigrationPlan, type MigrationPlan, type MigrationReport, type Orchestrator } from "@db/orchestrator";
import { type Change, type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { readFileArgument, writeFileArgument } from "../file-argument.ts";
import { findingsText } from "../findings-text.ts";
import { textTable } from "../text-table.ts";

/** `db migrate status` */
export async function status(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
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
    text: [table, `${report.applied} applied, ${report.pending} pending`, findings]
      .filter((part) => part !== "")
      .join("\n"),
    findings: report.findings,
    gate: true,
    ...(report.pending > 0 ? { next: ["db migrate plan"] } : {}),
  };
}

/** `db migrate plan` */
export async function plan(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const planned = await migrations.plan(folder(input));
  const out = text(input, "out");
  const json = JSON.stringify(planned, null, 2);
  if (out !== undefined) await writeFileArgument(out, json, context);
  return {
    data: planned,
    text: out === "-" ? json : formatMigrationPlan(planned),
    findings: planned.findings,
    changes: changesOf(planned),
    next: planned.migrations.length === 0 ? [] : [out === undefined ? "db migrate up" : `db migrate up --plan ${out}`],
  };
}

/** `db migrate up` */
export async function up(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const approved = text(input, "plan");
  const planned =
    approved === undefined ? await orchestrator.migrations.plan(folder(input)) : await readPlan(approved, context);
  return apply(context, orchestrator, planned);
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
  if (!context.dryRun && planned.migrations.length > 0) {
    const { connection } = orchestrator.config;
    await context.confirm({
      name: connection!.database,
      host: `${connection!.host}:${connection!.port}`,
      losses: planned.migrations.map(({ id }) => `undoes ${id}`),
      safetyBackup: "none is taken: db backup run takes one",
    });
  }
  return apply(context, orchestrator, planned);
}

/** `db migrate lint` */
export async function lint(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const { findings, migrations: pending } = await migrations.plan(folder(input));
  const clean = `${pending.length} pending migrations, nothing to say against them`;
  return {
    data: { pending: pending.map(({ id }) => id), findings },
    text: findings.length === 0 ? clean : findingsText(findings, context.terminal),
    findings,
    gate: true,
  };
}

/** `db migrate new <name>` */
export async function create(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await context.orchestrator({ config: await context.config({ requireConnection: false }) });
  const made = await migrations.create(input.arguments["name"]!, { ...folder(input), dryRun: context.dryRun });
  return {
    data: made,
    text: `${made.written ? "made" : "would make"} ${made.file}`,
    changes: [{ kind: "create_file", object: made.file }],
    next: ["db migrate plan"],
  };
}

async function apply(context: Context, { migrations }: Orchestrator, planned: MigrationPlan): Promise<CommandResult> {
  const changes = changesOf(planned);
  if (planned.migrations.length === 0 && planned.adopt.length === 0) {
    return {
      data: planned,
      text: planned.direction === "down" ? "nothing to take back" : "nothing pending",
      changes,
      findings: planned.findings,
    };
  }
  if (context.dryRun) return { data: planned, text: formatMigrationPlan(planned), changes, findings: planned.findings };
  const report = await migrations.apply(planned, { onProgress: context.onProgress, signal: context.signal });
  return { data: report, text: reportText(report), changes, findings: planned.findings, next: ["db migrate status"] };
}

function reportText(report: MigrationReport): string {
  const rows = report.applied.map(({ id, durationMs, statements }) => [
    id,
    statements.length,
    formatDuration(durationMs),
  ]);
  const verb = report.direction === "down" ? "taken back" : "applied";
  return `${rows.length === 0 ? "" : `${textTable(["migration", "statements", "took"], rows)}\n`}${report.applied.length} ${verb} in ${formatDuration(report.durationMs)}`;
}

function changesOf(planned: MigrationPlan): readonly Change[] {
  return planned.migrations.map(({ id, statements }) => ({
    kind: planned.direction === "down" ? "undo_migration" : "apply_migration",
    object: id,
    sql: statements.map(({ sql }) => sql).join(";\n"),
    destructive: planned.direction === "down",
  }));
}

async function readPlan(file: string, context: Context): Promise<MigrationPlan> {
  const hint = "Make one with: db migrate plan --out plan.json";
  try {
    const value = JSON.parse(await readFileArgument(file, context)) as Partial<MigrationPlan>;
    if (value.format === 1 && Array.isArray(value.migrations)) return value as MigrationPlan;
  } catch (cause) {
    throw new UsageError(`the plan ${file} cannot be read`, { cause, hint });
  }
  throw new UsageError(`${file} holds no migration plan`, { hint });
}

function folder(input: Input): { directory?: string } {
  const directory = text(input, "dir");
  return directory === undefined ? {} : { directory };
}

async function open(context: Context): Promise<Orchestrator> {
  return context.orchestrator();
}
