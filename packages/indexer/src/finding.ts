import { compareFindings, type Finding, formatBytes } from "@db/core";
import type { IndexReport } from "./report.ts";
import type { IndexSnapshot } from "./snapshot.ts";

/** A table read whole this often, and this large, deserves a look even where no statement is known. */
const heavy = { rowsPerScan: 10_000, scans: 50 } as const;

/** What the analysis found, as findings, worst first. */
export function indexFindings(
  report: Pick<
    IndexReport,
    "recommendations" | "unused" | "duplicates" | "invalid" | "foreignKeysWithoutIndex" | "workload"
  >,
  snapshot: IndexSnapshot,
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const item of report.recommendations) {
    const { schema = "public", table } = item.definition;
    const saved = item.gain === null ? "" : `, saving about ${Math.round(item.gain * 100)} % of their cost`;
    findings.push({
      id: "INDEX-MISSING",
      severity: (item.gain ?? 0) >= 0.5 ? "warn" : "info",
      title: `${schema}.${table} lacks an index: it ${item.why}${saved}`,
      subject: `${schema}.${table}`,
      ...(item.gain === null ? {} : { observed: Math.round(item.gain * 100), unit: "percent" }),
      hint: `Helps ${item.helps.length} statement(s). Confidence: ${item.confidence}.`,
      command: item.ddl.join(";\n"),
    });
  }
  for (const item of report.invalid) {
    findings.push({
      id: "INDEX-INVALID",
      severity: "warn",
      title: `${item.schema}.${item.name} is invalid: every write keeps it up, no query may use it`,
      subject: `${item.schema}.${item.name}`,
      hint: "A concurrent build failed. Drop it, then make it again.",
      command: item.drop,
    });
  }
  for (const item of report.duplicates) {
    findings.push({
      id: item.kind === "duplicate" ? "INDEX-DUPLICATE" : "INDEX-COVERED",
      severity: "info",
      title: `${item.schema}.${item.name} does nothing that ${item.coveredBy} does not (${formatBytes(item.bytes)})`,
      subject: `${item.schema}.${item.name}`,
      observed: item.bytes,
      unit: "bytes",
      hint: "Every write keeps both up. Drop it.",
      command: item.drop,
    });
  }
  for (const item of report.unused) {
    const since = item.certain ? "" : `, but ${item.reservations.join("; ")}`;
    findings.push({
      id: "INDEX-UNUSED",
      severity: "info",
      title: `${item.schema}.${item.name} was never scanned (${formatBytes(item.bytes)})${since}`,
      subject: `${item.schema}.${item.name}`,
      observed: item.bytes,
      unit: "bytes",
      hint: item.certain ? "Every write keeps it up. Drop it." : "Ask again when scans were counted for longer.",
      ...(item.certain ? { command: item.drop } : {}),
    });
  }
  for (const item of report.foreignKeysWithoutIndex) {
    findings.push({
      id: "INDEX-FOREIGN-KEY",
      severity: item.rows >= 10_000 ? "warn" : "info",
      title:
        `${item.schema}.${item.table} (${item.columns.join(", ")}) refers to ${item.referencesTable} ` +
        "without an index",
      subject: `${item.schema}.${item.table}`,
      observed: Math.round(item.rows),
      unit: "rows",
      hint: `Deleting a row of ${item.referencesTable} reads ${item.table} whole.`,
      command: item.ddl.join(";\n"),
    });
  }
  findings.push(...workloadFindings(report, snapshot));
  return findings.sort(compareFindings);
}

function workloadFindings(report: Pick<IndexReport, "workload">, snapshot: IndexSnapshot): readonly Finding[] {
  if (report.workload.source !== "none") return [];
  const findings: Finding[] = [
    {
      id: "INDEX-NO-WORKLOAD",
      severity: "info",
      title: `no statements to analyse: ${report.workload.reason ?? "none were recorded"}`,
      hint: "Add pg_stat_statements to shared_preload_libraries, restart, then create the extension.",
      command: "create extension if not exists pg_stat_statements",
    },
  ];
  for (const table of snapshot.tables) {
    const perScan = table.sequentialScans === 0 ? 0 : table.sequentialRows / table.sequentialScans;
    if (table.sequentialScans < heavy.scans || perScan < heavy.rowsPerScan) continue;
    findings.push({
      id: "INDEX-READ-WHOLE",
      severity: "info",
      title:
        `${table.schema}.${table.name} was read whole ${table.sequentialScans} times, ` +
        `${Math.round(perScan)} rows each`,
      subject: `${table.schema}.${table.name}`,
      observed: Math.round(table.sequentialRows),
      unit: "rows",
      hint: "Which statement does so, pg_stat_statements would tell.",
    });
  }
  return findings;
}
