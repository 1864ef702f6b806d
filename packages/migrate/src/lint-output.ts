import type { Severity } from "@db/core";
import type { LintReport } from "./linting.ts";
import { toolVersion } from "./tool-version.ts";

/** What a report says of one place in a file, problems and findings alike. */
interface Remark {
  readonly rule: string;
  readonly severity: Severity;
  readonly message: string;
  readonly hint: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

const sarifLevels: Readonly<Record<Severity, string>> = { critical: "error", warn: "warning", info: "note" };
const commands: Readonly<Record<Severity, string>> = { critical: "error", warn: "warning", info: "notice" };

/**
 * A lint report for people: worst first, each with its place, why it matters and what to write instead.
 * @param directory the migrations folder as the reader calls it
 */
export function formatLintReport(report: LintReport, directory: string): string {
  const lines = remarksOf({ ...report, findings: [] }).flatMap(({ rule, message, hint, file, line, column }) => [
    `${file === null ? directory : pathOf(directory, file)}:${line ?? 1}:${column ?? 1}: ${message} (${rule})`,
    `    ${hint}`,
  ]);
  for (const { severity, title, hint, rule, id, file, line, column, also = [], safer, blocks } of report.findings) {
    const place = file === null ? directory : `${pathOf(directory, file)}:${line ?? 1}:${column ?? 1}`;
    lines.push(`${place}: ${blocks ? "blocks" : severity}: ${title} (${rule ?? id})`);
    for (const one of also) lines.push(`    line ${one.line}: ${one.title}`);
    if (hint !== undefined) lines.push(`    ${hint}`);
    if (safer !== null) lines.push(...safer.split("\n").map((text) => `      ${text}`));
  }
  const { findings, problems, files, statements } = report;
  const total = findings.length + problems.length;
  lines.push(
    `${total === 0 ? "nothing" : total} to say about ${counted(statements, "statement")} in ${counted(files, "file")}`,
  );
  return `${lines.join("\n")}\n`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A lint report as SARIF 2.1.0 JSON, which code hosts show beside the lines of a change.
 * @param directory the migrations folder as it is called from the root of the repository
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
export function formatLintSarif(report: LintReport, directory: string): string {
  const remarks = remarksOf(report);
  const names = [...new Set(remarks.map(({ rule }) => rule))].toSorted();
  const log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "db-migrate",
            version: toolVersion,
            rules: names.map((id) => ({
              id,
              help: { text: remarks.find(({ rule }) => rule === id)?.hint ?? "" },
            })),
          },
        },
        // Columns are counted as JavaScript counts them.
        columnKind: "utf16CodeUnits",
        results: remarks.map(({ rule, severity, message, hint, file, line, column }) => ({
          ruleId: rule,
          ruleIndex: names.indexOf(rule),
          level: sarifLevels[severity],
          message: { text: `${message}. ${hint}` },
          locations: file === null ? [] : [locationOf(pathOf(directory, file), line, column)],
        })),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

/**
 * A lint report as workflow commands, which GitHub shows as annotations: one line each, to be printed in a job.
 * @param directory the migrations folder as it is called from the root of the repository
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function formatLintAnnotations(report: LintReport, directory: string): string {
  return remarksOf(report)
    .map(({ rule, severity, message, hint, file, line, column }) => {
      const place = file === null ? [] : [`file=${property(pathOf(directory, file))}`];
      if (line !== null) place.push(`line=${line}`);
      if (line !== null && column !== null) place.push(`col=${column}`);
      place.push(`title=${property(rule)}`);
      return `::${commands[severity]} ${place.join(",")}::${data(`${message}. ${hint}`)}\n`;
    })
    .join("");
}

function remarksOf({ problems, findings }: LintReport): Remark[] {
  const unusable = problems.map(({ code, message, hint, file, line, column }): Remark => ({
    rule: code.toLowerCase(),
    severity: "critical",
    message,
    hint,
    file,
    line,
    column,
  }));
  const judged = findings.flatMap(({ id, rule, severity, title, hint = "", file, line, column, also = [] }) => {
    const about = { rule: rule ?? id.toLowerCase(), severity, hint, file };
    return [{ title, line, column }, ...also].map((place): Remark => ({
      ...about,
      message: place.title,
      line: place.line,
      column: place.column,
    }));
  });
  return [...unusable, ...judged];
}

function locationOf(uri: string, line: number | null, column: number | null): object {
  const region =
    line === null ? {} : { region: { startLine: line, ...(column === null ? {} : { startColumn: column }) } };
  return { physicalLocation: { artifactLocation: { uri: encodeURI(uri) }, ...region } };
}

function pathOf(directory: string, file: string): string {
  const folder = directory.replaceAll("\\", "/").replace(/^\.\//, "").replace(/\/+$/, "");
  return folder === "" || folder === "." ? file : `${folder}/${file}`;
}

function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
