import { resolve } from "node:path";
import { formatBytes, formatDuration } from "@db/core";
import { describeRestorePlan, isDumpLabel, type Orchestrator, type RestorePlan } from "@db/orchestrator";
import { type CommandResult, type Input, text, texts, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { readFileArgument, writeFileArgument } from "../file-argument.ts";
import { findingsText } from "../findings-text.ts";
import { parseTarget } from "../recovery-target.ts";
import { openWithoutDatabase } from "../without-database.ts";
import { wholeNumber } from "./dev.ts";
import { planDump, restoreDump } from "./dump.ts";

// What decides a plan, and cannot stand beside one that was made.
const planFlags = [
  "to",
  "label",
  "cluster",
  "target",
  "exclusive",
  "timeline",
  "action",
  "tablespace",
  "pg-version",
  "replace",
  "delta",
] as const;

/** `db restore plan` */
export async function plan(context: Context, input: Input): Promise<CommandResult> {
  const label = text(input, "label");
  if (label !== undefined && isDumpLabel(label)) return planDump(context, input, label);
  const planned = await makePlan(await openWithoutDatabase(context), context, input);
  const out = text(input, "out");
  const json = JSON.stringify(planned, null, 2);
  if (out !== undefined) await writeFileArgument(out, json, context);
  return {
    data: planned,
    text: out === "-" ? json : describeRestorePlan(planned),
    findings: planned.findings,
    next: [out === undefined || out === "-" ? runCommand(planned, input) : `db restore run --plan ${out}`],
  };
}

/** `db restore run` */
export async function runRestore(context: Context, input: Input): Promise<CommandResult> {
  const label = text(input, "label");
  if (label !== undefined && isDumpLabel(label)) return restoreDump(context, input, label);
  const orchestrator = await openWithoutDatabase(context);
  const approved = text(input, "plan");
  const planned =
    approved === undefined ? await makePlan(orchestrator, context, input) : await readPlan(approved, context, input);
  const changes = [
    ...planned.replaces.map(({ directory }) => ({ kind: "move_aside", object: directory })),
    { kind: "restore", object: planned.directory },
  ];
  if (context.dryRun) return { data: planned, text: describeRestorePlan(planned), findings: planned.findings, changes };
  const replaced = planned.replaces[0]?.directory;
  if (replaced === undefined) context.terminal.say(describeRestorePlan(planned));
  else await confirmReplacement(context, planned, replaced);
  const report = await orchestrator.backups.restore(planned, { ...call(context, input), confirm: replaced });
  return {
    data: report,
    text: [
      `${report.label} restored into ${report.directory}: ${report.files.toLocaleString("en")} files, ${formatBytes(report.bytes)}, in ${formatDuration(report.durationMs)}`,
      ...planned.replaces
        .slice(0, 1)
        .map(
          ({ directory, keptAs }) =>
            `the former cluster is kept: to go back, stop the server, then mv ${directory} ${directory}.restored && mv ${keptAs} ${directory}`,
        ),
    ].join("\n"),
    findings: planned.findings,
    changes,
  };
}

function confirmReplacement(context: Context, planned: RestorePlan, name: string): Promise<void> {
  const { replaces, losesAfter } = planned;
  context.terminal.say(describeRestorePlan(planned));
  const behind = losesAfter === null ? "" : `: all committed after ${losesAfter}`;
  return context.confirm({
    name,
    host: "this machine",
    losses: [`what the cluster holds and the backup does not${behind}`],
    safetyBackup: replaces.map(({ keptAs }) => keptAs).join(", "),
  });
}

/** `db restore drill` */
export async function drill(context: Context, input: Input): Promise<CommandResult> {
  const { backups } = await openWithoutDatabase(context);
  if (context.dryRun) {
    const { backups: found } = await backups.catalog(call(context, input));
    const cluster = text(input, "cluster");
    const newest = found.find(({ systemIdentifier }) => cluster === undefined || systemIdentifier === cluster);
    const label = text(input, "label") ?? newest?.label;
    return { data: { label: label ?? null }, text: `would restore ${label ?? "no backup: there is none"}` };
  }
  const which = { label: text(input, "label"), systemIdentifier: text(input, "cluster") };
  const report = await backups.drill({ ...call(context, input), ...which });
  const summary = `${report.label}: ${report.ok ? "restored, started and answered" : "NOT proved"} in ${formatDuration(report.durationMs)}`;
  return {
    data: report,
    text: [summary, findingsText(report.findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings: report.findings,
    gate: true,
  };
}

async function makePlan({ backups }: Orchestrator, context: Context, input: Input): Promise<RestorePlan> {
  const to = text(input, "to");
  if (to === undefined)
    throw new UsageError("--to is missing: the folder to restore into", {
      hint: "Name an empty or absent folder: --to /srv/restored",
    });
  return backups.planRestore(
    {
      directory: resolve(context.cwd, to),
      label: text(input, "label"),
      target: parseTarget(texts(input, "target"), toggle(input, "exclusive") === true),
      timeline: parseTimeline(text(input, "timeline")),
      action: text(input, "action") as RestorePlan["action"] | undefined,
      tablespaces: parseTablespaces(texts(input, "tablespace"), context.cwd),
      serverMajor: wholeNumber(input, "pg-version", 12, 99),
      systemIdentifier: text(input, "cluster"),
      replace: toggle(input, "replace"),
      delta: toggle(input, "delta"),
    },
    call(context, input),
  );
}

// What was planned is what is done: a flag that would plan something else is a contradiction.
async function readPlan(file: string, context: Context, input: Input): Promise<RestorePlan> {
  const given = planFlags.filter((name) => input.flags[name] !== undefined);
  if (given.length > 0) {
    throw new UsageError(`--plan and ${given.map((name) => `--${name}`).join(", ")} are both given`, {
      hint: "Give the plan alone, or plan again with the flags.",
    });
  }
  const hint = "Write one with: db restore plan --to <folder> --out <file>.";
  let planned: Partial<RestorePlan>;
  try {
    planned = JSON.parse(await readFileArgument(file, context)) as Partial<RestorePlan>;
  } catch (cause) {
    throw new UsageError(`--plan ${file} is no plan`, { cause, hint });
  }
  if (planned.backup?.label === undefined || planned.directory === undefined)
    throw new UsageError(`--plan ${file} is no plan of a restore`, { hint });
  return planned as RestorePlan;
}

// The same restore: every flag that made the plan, and the name it will be asked for.
function runCommand({ directory, replaces }: RestorePlan, input: Input): string {
  const words = ["db restore run --to", shellWord(directory)];
  for (const name of planFlags) {
    const value = input.flags[name];
    if (name === "to" || value === undefined) continue;
    if (typeof value === "boolean") words.push(value ? `--${name}` : `--no-${name}`);
    else for (const each of typeof value === "string" ? [value] : value) words.push(`--${name}`, shellWord(each));
  }
  if (replaces.length > 0) words.push("--confirm", shellWord(directory));
  return words.join(" ");
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function parseTimeline(value: string | undefined): number | "latest" | "current" | undefined {
  if (value === undefined || value === "latest" || value === "current") return value;
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  throw new UsageError(`--timeline is "${value}"`, { hint: "Give latest, current, or a number from 1." });
}

function parseTablespaces(pairs: readonly string[], cwd: string): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, from, to] = /^(.+)=(.+)$/.exec(pair) ?? [];
      if (from !== undefined && to !== undefined) return [from, resolve(cwd, to)];
      throw new UsageError(`--tablespace is "${pair}"`, {
        hint: "Write its oid or folder on the server, and its new folder: --tablespace 16385=/srv/side",
      });
    }),
  );
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
