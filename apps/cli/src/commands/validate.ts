import { formatDuration } from "@db/core";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { findingsText } from "../findings-text.ts";
import { textTable } from "../text-table.ts";

/** `db validate` */
export async function validate(context: Context, input: Input): Promise<CommandResult> {
  const { validation } = await context.orchestrator({ readOnly: true });
  const call = { rulesFile: text(input, "rules"), onProgress: context.onProgress, signal: context.signal };
  const rules = await validation.rules(call);
  const report = await validation.run(call);
  const tables = report.tables.map(({ table, score, rules: count, failed }) => [table, score ?? 0, count, failed]);
  const lines = [
    `score ${report.score ?? "unknown"} of 100: ${rules.length} rules, ${report.counts.failed} broken, ${report.counts.error} could not be checked, in ${formatDuration(report.durationMs)}`,
    tables.length === 0 ? "" : textTable(["table", "score", "rules", "broken"], tables),
    findingsText(report.findings, context.terminal, 40),
  ];
  return {
    data: report,
    text: lines.filter((line) => line !== "").join("\n"),
    findings: report.findings,
    gate: true,
    ...(rules.length === 0 ? { next: ["db validate suggest"] } : {}),
  };
}

/** `db validate suggest` */
export async function suggest(context: Context): Promise<CommandResult> {
  const { validation } = await context.orchestrator({ readOnly: true });
  const report = await validation.suggest({ onProgress: context.onProgress, signal: context.signal });
  const rows = report.suggestions.map(({ rule, holds, violations, why }) => [
    rule.table,
    rule.kind,
    holds ? "holds" : `${violations.toLocaleString("en")} break it`,
    why,
  ]);
  return {
    data: report,
    text: `${rows.length === 0 ? "" : `${textTable(["table", "rule", "now", "why"], rows)}\n`}${rows.length} rules suggested from ${report.tables} tables; --json gives them ready to keep`,
    next: ["db validate --rules rules.json"],
  };
}
