import type { Finding } from "@db/core";
import type { MonitorReport } from "./report.ts";
import { type Section, sectionsOf, verdictText } from "./sections.ts";

/** A report for a terminal or a mail, at most `width` characters wide. */
export function renderReportText(report: MonitorReport, { width = 120 }: { readonly width?: number } = {}): string {
  const parts = [
    `${report.title}, ${report.generatedAt}`,
    `Verdict: ${verdictText(report)}`,
    heading("Findings"),
    report.findings.length === 0 ? "None." : report.findings.map(findingText).join("\n\n"),
    ...sectionsOf(report).flatMap((section) => [heading(section.title), tableText(section, width)]),
  ];
  return `${parts.join("\n\n")}\n`;
}

const heading = (title: string): string => `${title}\n${"=".repeat(title.length)}`;

function findingText(finding: Finding): string {
  const observed =
    finding.observed === undefined
      ? ""
      : `\n  observed ${amount(finding.observed)}` +
        (finding.threshold === undefined ? "" : `, threshold ${amount(finding.threshold)}`) +
        (finding.unit ? ` ${finding.unit}` : "");
  return (
    `[${finding.severity}] ${finding.title} (${finding.id})${observed}` +
    (finding.hint ? `\n  ${finding.hint}` : "") +
    (finding.command ? `\n  > ${finding.command}` : "")
  );
}

/** A number short enough to read. */
export function amount(value: number | string): string {
  if (typeof value === "string" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}

function tableText({ columns, rows, empty }: Section, width: number): string {
  if (rows.length === 0) return empty;
  const all = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const lines = all.map((row) =>
    row
      .map((cell, i) => (columns[i]?.align === "right" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((w) => "-".repeat(w)).join("  "));
  return lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line)).join("\n");
}
