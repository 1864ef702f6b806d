import { formatBytes, formatDuration } from "@db/core";
import { type CellKind, type InspectCell, type InspectReport, inspections } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { textTable } from "../text-table.ts";

/** `db inspect` */
export async function inspect(context: Context, input: Input): Promise<CommandResult> {
  const what = input.arguments["what"];
  if (what === undefined) {
    const data = inspections.map(({ name, summary, aliases = [], since = 12 }) => ({ name, summary, aliases, since }));
    return {
      data,
      text: `${textTable(
        ["inspect", "shows"],
        data.map(({ name, summary }) => [name, summary]),
      )}\n\nMore: db inspect <name>`,
    };
  }
  const { sessions } = await context.orchestrator({ readOnly: true });
  const report = await sessions.inspect(what, { limit: limitOf(input), statementTimeoutMs: 30_000 });
  return { data: report, text: inspectText(report, Date.parse(report.asOf)) };
}

/** A report as a table for people; a statement is cut to what one line holds. */
export function inspectText({ columns, rows, note }: InspectReport, now: number): string {
  if (rows.length === 0) return note ?? "Nothing.";
  const shown = columns.filter(({ name }) => name !== "backendStart");
  return textTable(
    shown.map(({ label }) => label),
    rows.map((row) => shown.map(({ name, kind }) => cellText(row[name] ?? null, kind, now))),
    shown.map(({ kind }) => !["text", "code", "time", "flag"].includes(kind)),
  );
}

function cellText(value: InspectCell, kind: CellKind, now: number): string {
  if (value === null) return "–";
  switch (kind) {
    case "count":
      return Number(value).toLocaleString("en");
    case "bytes":
      return formatBytes(Number(value));
    case "seconds":
      return formatDuration(Number(value) * 1_000);
    case "milliseconds":
      return formatDuration(Number(value));
    case "ratio":
      return `${(Number(value) * 100).toFixed(1)} %`;
    case "time":
      return `${formatDuration(Math.max(0, now - Date.parse(String(value))))} ago`;
    case "flag":
      return value === true ? "yes" : "no";
    case "code":
      return String(value).slice(0, 80);
    default:
      return String(value);
  }
}

function limitOf(input: Input): number {
  const value = text(input, "limit");
  if (value === undefined) return 50;
  const limit = Number(value);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1_000) return limit;
  throw new UsageError(`--limit is "${value}"`, { hint: "Give a number from 1 to 1000." });
}
