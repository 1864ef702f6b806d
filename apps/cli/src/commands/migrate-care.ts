import type { Finding } from "@db/core";
import { formatCatalogDifferences } from "@db/orchestrator/migrations";
import { type CommandResult, type Input, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { findingsText } from "../findings-text.ts";
import { apply, folder, open } from "../migration-command.ts";
import { textTable } from "../text-table.ts";

/** `db migrate verify` */
export async function verify(context: Context, input: Input): Promise<CommandResult> {
  const migrations = await context.migrations();
  if (toggle(input, "shadow")) return verifyShadow(context, input);
  const report = await migrations.verify(folder(input));
  const summary = `${report.holding} hold, ${report.failing} fail, ${report.withoutVerify} have no verify section`;
  return {
    data: report,
    text: [findingsText(report.findings, context.terminal), summary].filter((part) => part !== "").join("\n"),
    findings: report.findings,
    gate: true,
  };
}

async function verifyShadow(context: Context, input: Input): Promise<CommandResult> {
  const migrations = await context.migrations();
  const report = await migrations.proveReversals({
    ...folder(input),
    signal: context.signal,
    onProgress: context.onProgress,
  });
  const broken = report.migrations.filter(({ outcome }) => !/^(restored|reordered|no-down)$/.test(outcome));
  const findings = broken.map(({ migration, file, outcome, message, differences }): Finding => ({
    id: "MIGRATE-DOWN",
    severity: "critical",
    title: `${file}: ${outcome.replaceAll("-", " ")}${message === null ? "" : `: ${message}`}`,
    hint: formatCatalogDifferences(differences).trimEnd(),
    subject: migration,
  }));
  const { restored, reordered, withoutDown } = report;
  const summary = `${restored} restored (${reordered} but for the order of columns), ${broken.length} broken, ${withoutDown} without a down`;
  return {
    data: report,
    text: [findingsText(findings, context.terminal), summary].filter((part) => part !== "").join("\n"),
    findings,
    gate: true,
  };
}

/** `db migrate drift` */
export async function drift(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const ignore = input.flags["ignore"];
  const shadow = toggle(input, "shadow") === true;
  const report = await migrations.drift({
    ...(Array.isArray(ignore) ? { ignore: ignore as readonly string[] } : {}),
    ...(shadow ? { ...folder(input), shadow } : {}),
  });
  const left = shadow ? "the schema is as the files make it" : "the schema is as the migrations left it";
  const since = report.expected.migration === null ? "" : ` since ${report.expected.migration}`;
  return {
    data: report,
    text: report.drifted ? formatCatalogDifferences(report.differences).trimEnd() : `${left}${since}`,
    findings: report.findings,
    gate: true,
  };
}

/** `db migrate baseline <version>` */
export async function baseline(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const planned = await orchestrator.migrations.planBaseline(input.arguments["version"]!, {
    ...folder(input),
    proof: toggle(input, "proof") !== false && !context.dryRun,
  });
  return apply(context, orchestrator, planned, input);
}

/** `db migrate repair` */
export async function repair(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const plan = await migrations.planRepair(folder(input));
  const only = input.flags["only"];
  const chosen = Array.isArray(only) ? (only as readonly string[]) : undefined;
  const changes = plan.actions
    .filter(({ id, safe }) => (chosen ? chosen.includes(id) : safe))
    .map(({ kind, id, sql }) => ({ kind: kind.replaceAll("-", "_"), object: id, sql }));
  const table = textTable(
    ["action", "what", "then"],
    plan.actions.map(({ id, title, hint }) => [id, title, hint]),
  );
  if (plan.actions.length === 0) return { data: plan, text: "nothing to repair" };
  if (context.dryRun) return { data: plan, text: table, changes };
  const report = await migrations.repair(plan, { ...(chosen ? { chosen } : {}), signal: context.signal });
  const left = report.left.map((id) => `left: ${id}; do it with --only ${id}`);
  return {
    data: { plan, report },
    text: [table, `${report.done.length} done`, ...left].join("\n"),
    changes,
    next: ["db migrate status"],
  };
}
