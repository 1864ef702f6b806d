import { formatBytes, formatDuration } from "@db/core";
import type { MonitorReport } from "./report.ts";

/** A table of a report, for every renderer. Cells are text without markup. */
export interface Section {
  readonly title: string;
  readonly columns: readonly { readonly title: string; readonly align: "left" | "right" }[];
  readonly rows: readonly (readonly string[])[];
  /** Said instead of an empty table. */
  readonly empty: string;
}

const left = (title: string): Section["columns"][number] => ({ title, align: "left" });
const right = (title: string): Section["columns"][number] => ({ title, align: "right" });
const percent = (ratio: number | null): string => (ratio === null ? "–" : `${(ratio * 100).toFixed(1)} %`);
const count = (value: number): string => Math.round(value).toLocaleString("en-US");

/** The tables of a report, in the order they are read. Findings come before them, in each renderer's own way. */
export function sectionsOf(report: MonitorReport): readonly Section[] {
  return [
    {
      title: "Servers",
      columns: [left("Server"), left("Role"), left("State"), left("Version"), left("Started"), right("Collected in")],
      rows: report.servers.map((server) => [
        server.name,
        server.role,
        server.up ? "up" : "down",
        server.version,
        server.startedAt,
        formatDuration(server.collectionMs),
      ]),
      empty: "No server is watched.",
    },
    {
      title: "Databases",
      columns: [
        left("Database"),
        right("Size"),
        right("Connections"),
        right("Commits"),
        right("Rollbacks"),
        right("Cache hits"),
        right("Deadlocks"),
        right("Xid age"),
      ],
      rows: report.databases.map((database) => [
        database.name,
        database.sizeBytes === null ? "–" : formatBytes(database.sizeBytes),
        count(database.connections),
        count(database.commits),
        count(database.rollbacks),
        percent(database.cacheHitRatio),
        count(database.deadlocks),
        count(database.xidAge),
      ]),
      empty: "No database was seen.",
    },
    {
      title: "Top queries",
      columns: [
        left("Server"),
        right("Time"),
        right("Share"),
        right("Calls"),
        right("Mean"),
        right("Rows"),
        left("Statement"),
      ],
      rows: report.topQueries.map((query) => [
        query.server,
        formatDuration(query.totalSeconds * 1000),
        percent(query.share),
        count(query.calls),
        formatDuration(query.meanMs),
        count(query.rows),
        query.queryId === "other" ? "all others" : (query.text ?? `query ${query.queryId}`).slice(0, 200),
      ]),
      empty: "No statement statistics: pg_stat_statements is not there.",
    },
    {
      title: "Largest tables",
      columns: [left("Table"), right("Rows"), right("Dead rows"), right("Table"), right("Indexes")],
      rows: report.tables.map((table) => [
        table.name,
        count(table.liveRows),
        count(table.deadRows),
        formatBytes(table.tableBytes),
        formatBytes(table.indexBytes),
      ]),
      empty: "No table was seen.",
    },
    {
      title: "What runs out",
      columns: [left("Resource"), left("Of"), right("Days left"), right("At the earliest"), right("A day")],
      rows: report.forecasts.map(({ resource, subject, days, earliestDays, perDay }) => [
        resource,
        subject,
        days === null ? "–" : days.toFixed(1),
        earliestDays === null ? "–" : earliestDays.toFixed(1),
        count(perDay),
      ]),
      empty: "Nothing that is foreseen to run out.",
    },
    {
      title: "Unusual",
      columns: [left("What"), left("Of"), right("Now"), right("Usually"), left("At the same time")],
      rows: report.anomalies.map(({ title, labels, value, expected, causes }) => [
        title,
        Object.values(labels).join("/"),
        value.toPrecision(3),
        expected.toPrecision(3),
        causes.map(({ text }) => text).join(" ") || "–",
      ]),
      empty: "Every course is what it usually is.",
    },
    {
      title: "Replication",
      columns: [left("Standby"), left("State"), left("Synchronous"), right("Lag"), right("Behind"), left("Slot")],
      rows: report.replication.standbys.map((standby) => [
        standby.name,
        standby.state,
        standby.sync,
        formatDuration(standby.lagSeconds * 1000),
        formatBytes(standby.lagBytes),
        standby.slot || "–",
      ]),
      empty: "No standby is connected.",
    },
    {
      title: "Alerts",
      columns: [left("Time"), left("What"), left("Severity"), left("Alert")],
      rows: report.alerts.map((event) => [
        event.at,
        event.kind,
        event.alert.severity,
        `${event.alert.rule}: ${event.alert.title}`,
      ]),
      empty: "No alert fired.",
    },
  ];
}

const words = { pass: "all is well", warn: "some things want attention", fail: "something is wrong" } as const;

/** The verdict in words. */
export function verdictText({ verdict, findings }: MonitorReport): string {
  const many = (severity: string): number => findings.filter((finding) => finding.severity === severity).length;
  return `${words[verdict]} (${many("critical")} critical, ${many("warn")} warnings, ${many("info")} remarks)`;
}
