import { formatBytes, formatDuration } from "@db/core";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { findingsText } from "../findings-text.ts";
import { textTable } from "../text-table.ts";

/** `db backup run` */
export async function runBackup(context: Context, input: Input): Promise<CommandResult> {
  const { backups } = await context.orchestrator();
  const repository = text(input, "repo") ?? backups.location;
  const changes = [{ kind: "create_backup", object: repository }];
  if (context.dryRun) return { data: { repository }, text: `would take a full backup into ${repository}`, changes };
  const report = await backups.run(call(context, input));
  const lines = [
    `${report.label}: ${formatBytes(report.bytes)} in ${report.files.toLocaleString("en")} files stored as ${formatBytes(report.storedBytes)} in ${formatDuration(report.durationMs)}`,
    report.encrypted
      ? "encrypted with AES-256-GCM"
      : "not encrypted: set BACKUP_ENCRYPTION_KEY to encrypt the next repository",
    findingsText(report.findings, context.terminal),
  ];
  return {
    data: report,
    text: lines.filter((line) => line !== "").join("\n"),
    changes,
    findings: report.findings,
    gate: true,
    next: ["db restore drill"],
  };
}

/** `db backup list` */
export async function list(context: Context, input: Input): Promise<CommandResult> {
  const { backups } = await context.orchestrator();
  const catalog = await backups.catalog(call(context, input));
  const rows = catalog.backups.map((backup) => [
    backup.label,
    backup.type,
    backup.status,
    backup.stoppedAt.slice(0, 19).replace("T", " "),
    formatBytes(backup.bytes),
    formatBytes(backup.storedBytes),
    backup.encrypted ? "yes" : "no",
  ]);
  const table =
    rows.length === 0
      ? "no backups yet"
      : textTable(["backup", "type", "status", "taken (UTC)", "data", "stored", "encrypted"], rows);
  const unusable = catalog.unusable.map(({ label, reason }) => `${label}: ${reason}, not restorable`);
  return {
    data: catalog,
    text: [table, ...unusable].join("\n"),
    ...(rows.length === 0 ? { next: ["db backup run"] } : {}),
  };
}

/** `db backup verify [label]` */
export async function verify(context: Context, input: Input): Promise<CommandResult> {
  const { backups } = await context.orchestrator();
  const report = await backups.verify({ ...call(context, input), label: input.arguments["label"] });
  const summary = `${report.backups.length} backups, ${formatBytes(report.bytes)} read in ${formatDuration(report.durationMs)}: ${report.ok ? "all of it is as it was written" : "damaged"}`;
  return {
    data: report,
    text: [summary, findingsText(report.findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings: report.findings,
    gate: true,
  };
}

/** `db backup expire` */
export async function expire(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator();
  const { backups } = orchestrator;
  const plan = await backups.planExpiration(call(context, input));
  const going = [...plan.expire, ...plan.incomplete];
  const lines = [
    ...plan.keep.map(({ label, reasons }) => `keep    ${label}: ${reasons.join("; ")}`),
    ...going.map(({ label, reason }) => `expire  ${label}: ${reason}`),
    `${going.length} to expire, ${formatBytes(plan.freedBytes)} freed, ${plan.keep.length} kept`,
  ];
  const changes = going.map(({ label }) => ({ kind: "expire_backup", object: label, destructive: true }));
  if (context.dryRun || going.length === 0) return { data: plan, text: lines.join("\n"), changes };
  await context.confirm({
    name: orchestrator.config.connection!.database,
    host: text(input, "repo") ?? backups.location,
    losses: going.map(({ label, reason }) => `backup ${label}: ${reason}`),
    safetyBackup: `${plan.keep.length} backups stay`,
  });
  const report = await backups.expire(plan, call(context, input));
  return { data: report, text: lines.join("\n"), changes };
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
