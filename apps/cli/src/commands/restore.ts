import { resolve } from "node:path";
import { formatBytes, formatDuration } from "@db/core";
import { describeRestorePlan, type Orchestrator, type RestorePlan } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { findingsText } from "../findings-text.ts";
import { parseTarget } from "../recovery-target.ts";

/** `db restore plan` */
export async function plan(context: Context, input: Input): Promise<CommandResult> {
  const planned = await makePlan(await open(context), context, input);
  return {
    data: planned,
    text: describeRestorePlan(planned),
    findings: planned.findings,
    next: [`db restore run --to ${planned.directory}`],
  };
}

/** `db restore run` */
export async function runRestore(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const planned = await makePlan(orchestrator, context, input);
  const changes = [{ kind: "restore", object: planned.directory }];
  if (context.dryRun) return { data: planned, text: describeRestorePlan(planned), findings: planned.findings, changes };
  context.terminal.say(describeRestorePlan(planned));
  const report = await orchestrator.backups.restore(planned, call(context, input));
  return {
    data: report,
    text: `${report.label} restored into ${report.directory}: ${report.files.toLocaleString("en")} files, ${formatBytes(report.bytes)}, in ${formatDuration(report.durationMs)}`,
    findings: planned.findings,
    changes,
  };
}

/** `db restore drill` */
export async function drill(context: Context, input: Input): Promise<CommandResult> {
  const { backups } = await open(context);
  if (context.dryRun) {
    const { backups: found } = await backups.catalog(call(context, input));
    const label = text(input, "label") ?? found.toSorted((a, b) => (a.stoppedAt < b.stoppedAt ? 1 : -1))[0]?.label;
    return { data: { label: label ?? null }, text: `would restore ${label ?? "no backup: there is none"}` };
  }
  const report = await backups.drill({ ...call(context, input), label: text(input, "label") });
  const summary = `${report.label}: ${report.ok ? "restored, started and answered" : "NOT proved"} in ${formatDuration(report.durationMs)}`;
  return {
    data: report,
    text: [summary, findingsText(report.findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings: report.findings,
    gate: true,
  };
}

// A repository is read without its database: restoring is for when that is gone.
async function open(context: Context): Promise<Orchestrator> {
  return context.orchestrator({ config: await context.config({ requireConnection: false }) });
}

async function makePlan({ backups }: Orchestrator, context: Context, input: Input): Promise<RestorePlan> {
  const to = text(input, "to");
  if (to === undefined)
    throw new UsageError("--to is missing: the folder to restore into", {
      hint: "Name an empty or absent folder: --to /srv/restored",
    });
  return backups.planRestore(
    { directory: resolve(context.cwd, to), label: text(input, "label"), target: parseTarget(text(input, "target")) },
    call(context, input),
  );
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
