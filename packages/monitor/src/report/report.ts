import { compareFindings, type Finding, type HealthStatus } from "@db/core";
import type { AlertEvent } from "../alerts/event.ts";
import type { Anomaly } from "../anomaly/anomaly.ts";
import type { CapacityForecast } from "../forecast/capacity.ts";
import { recommend } from "../findings.ts";
import { samplesOf, type ServerSnapshot, type Snapshot, valueOf } from "../snapshot.ts";
import { type ConnectionsView, connections } from "../views/connections.ts";
import { type ReplicationView, replication } from "../views/replication.ts";
import { type TopQuery, topQueries } from "../views/top-queries.ts";

/** All there is to say about a topology at one moment. Plain data; `--json` prints it as it is. */
export interface MonitorReport {
  /** ISO 8601. */
  readonly generatedAt: string;
  readonly title: string;
  readonly verdict: HealthStatus;
  readonly servers: readonly ReportServer[];
  readonly databases: readonly ReportDatabase[];
  readonly findings: readonly Finding[];
  readonly topQueries: readonly TopQuery[];
  readonly tables: readonly ReportTable[];
  readonly connections: ConnectionsView;
  readonly replication: ReplicationView;
  /** What is used up and when, soonest first. */
  readonly forecasts: readonly CapacityForecast[];
  readonly anomalies: readonly Anomaly[];
  /** What alerts did, newest first. */
  readonly alerts: readonly AlertEvent[];
}

export interface ReportServer {
  readonly name: string;
  readonly role: ServerSnapshot["role"];
  readonly up: boolean;
  /** Major and minor, `18.1`; empty until it has answered. */
  readonly version: string;
  readonly startedAt: string;
  readonly collectionMs: number;
  /** Collectors whose last attempt failed. */
  readonly failedCollectors: readonly string[];
}

export interface ReportDatabase {
  readonly server: string;
  readonly name: string;
  /** `null` where the role may not connect to it. */
  readonly sizeBytes: number | null;
  readonly connections: number;
  readonly commits: number;
  readonly rollbacks: number;
  /** Part of the blocks found in shared buffers since the counters were reset; `null` when none was touched. */
  readonly cacheHitRatio: number | null;
  readonly deadlocks: number;
  readonly tempBytes: number;
  readonly xidAge: number;
}

export interface ReportTable {
  readonly server: string;
  readonly database: string;
  readonly name: string;
  readonly liveRows: number;
  readonly deadRows: number;
  readonly tableBytes: number;
  readonly indexBytes: number;
}

export interface ReportInput {
  readonly snapshot: Snapshot;
  /** What the monitor found; default what the snapshot alone suggests. */
  readonly findings?: readonly Finding[];
  readonly alerts?: readonly AlertEvent[];
  readonly forecasts?: readonly CapacityForecast[];
  readonly anomalies?: readonly Anomaly[];
  readonly title?: string;
  /** An earlier snapshot: top queries then cover only the time since. */
  readonly since?: Snapshot;
}

/** Puts a report together. Pure. */
export function buildReport(input: ReportInput): MonitorReport {
  const { snapshot } = input;
  const findings = (input.findings ?? recommend(snapshot)).toSorted(compareFindings);
  return {
    generatedAt: snapshot.asOf,
    title: input.title ?? "PostgreSQL report",
    verdict: verdictOf(snapshot, findings),
    servers: snapshot.servers.map((server) => toServer(server, snapshot)),
    databases: databasesOf(snapshot),
    findings,
    topQueries: topQueries(snapshot, { limit: 20, ...(input.since && { since: input.since }) }),
    tables: tablesOf(snapshot),
    connections: connections(snapshot),
    replication: replication(snapshot),
    forecasts: (input.forecasts ?? []).filter(({ days }) => days !== null),
    anomalies: input.anomalies ?? [],
    alerts: (input.alerts ?? []).toReversed().slice(0, 50),
  };
}

function verdictOf(snapshot: Snapshot, findings: readonly Finding[]): HealthStatus {
  if (findings.some(({ severity }) => severity === "critical")) return "fail";
  if (snapshot.servers[0]?.up === false) return "fail";
  return findings.some(({ severity }) => severity === "warn") || snapshot.servers.some(({ up }) => !up)
    ? "warn"
    : "pass";
}

function toServer(server: ServerSnapshot, snapshot: Snapshot): ReportServer {
  const version = samplesOf(snapshot, "pg_static").find(({ labels }) => labels["server"] === server.name);
  return {
    name: server.name,
    role: server.role,
    up: server.up,
    version: version?.labels["short_version"]?.split(" ")[0] ?? "",
    startedAt: server.facts.identity?.startedAt ?? "",
    collectionMs: Math.round(server.durationMs * 10) / 10,
    failedCollectors: server.blocks.filter(({ success }) => !success).map(({ collector }) => collector),
  };
}

function databasesOf(snapshot: Snapshot): readonly ReportDatabase[] {
  const primary = snapshot.servers.find(({ role }) => role === "primary") ?? snapshot.servers[0];
  if (!primary) return [];
  return samplesOf(snapshot, "pg_stat_database_numbackends")
    .filter(({ labels }) => labels["server"] === primary.name && labels["datname"] !== "")
    .map(({ labels, value: backends }) => {
      const where = { server: primary.name, datname: labels["datname"] ?? "" };
      const value = (metric: string): number => valueOf(snapshot, metric, where) ?? 0;
      const [hit, read] = [value("pg_stat_database_blks_hit"), value("pg_stat_database_blks_read")];
      return {
        server: primary.name,
        name: where.datname,
        sizeBytes: valueOf(snapshot, "pg_database_size_bytes", where) ?? null,
        connections: backends,
        commits: value("pg_stat_database_xact_commit"),
        rollbacks: value("pg_stat_database_xact_rollback"),
        cacheHitRatio: hit + read > 0 ? hit / (hit + read) : null,
        deadlocks: value("pg_stat_database_deadlocks"),
        tempBytes: value("pg_stat_database_temp_bytes"),
        xidAge: value("pg_database_xid_age"),
      };
    })
    .toSorted((a, b) => (b.sizeBytes ?? 0) - (a.sizeBytes ?? 0));
}

function tablesOf(snapshot: Snapshot): readonly ReportTable[] {
  return samplesOf(snapshot, "pg_stat_user_tables_table_size_bytes")
    .filter(({ labels }) => labels["schemaname"] !== "")
    .filter(({ labels }) => snapshot.servers.find(({ name }) => name === labels["server"])?.role !== "standby")
    .toSorted((a, b) => b.value - a.value)
    .slice(0, 20)
    .map(({ labels, value: tableBytes }) => {
      const value = (metric: string): number => valueOf(snapshot, metric, labels) ?? 0;
      return {
        server: labels["server"] ?? "",
        database: labels["datname"] ?? "",
        name: `${labels["schemaname"]}.${labels["relname"]}`,
        liveRows: value("pg_stat_user_tables_n_live_tup"),
        deadRows: value("pg_stat_user_tables_n_dead_tup"),
        tableBytes,
        indexBytes: value("pg_stat_user_tables_index_size_bytes"),
      };
    });
}
