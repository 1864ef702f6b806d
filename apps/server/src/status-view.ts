import { compareFindings, worstStatus } from "@db/core";
import type { Chart, StatusView } from "@db/dashboard";
import {
  type AggregateHealth,
  type AuditEntry,
  type BackupInfo,
  connections,
  type MainJobReport,
  type MigrationStatus,
  type Monitor,
  type Orchestrator,
  replication,
  samplesOf,
  type Snapshot,
  topQueries,
  valueOf,
} from "@db/orchestrator";

import { stepFindings, stepSummaries } from "./step-findings.ts";

/** Everything known when the page is drawn; what is not known yet is `undefined`. */
export interface KnownState {
  readonly orchestrator: Orchestrator;
  readonly snapshot: Snapshot;
  readonly health: AggregateHealth;
  readonly mainJob: MainJobReport | undefined;
  readonly backups: readonly BackupInfo[] | undefined;
  readonly lastDrill: AuditEntry | undefined;
  readonly lastValidation: AuditEntry | undefined;
  readonly lastTrial: AuditEntry | undefined;
  readonly migrations: MigrationStatus | undefined;
}

const chartMs = 10 * 60_000;
const chartPoints = 60;

/** The page's data, from what is known. Pure: asks nobody. */
export function statusView(known: KnownState): StatusView {
  const { orchestrator, snapshot, health, mainJob } = known;
  const { config, application, monitor, readOnly } = orchestrator;
  const sorted = [...monitor.findings(), ...stepSummaries(mainJob, readOnly)].toSorted(compareFindings);
  const byFindings = sorted[0]?.severity === "critical" ? "fail" : sorted[0]?.severity === "warn" ? "warn" : "pass";
  const primary = snapshot.servers[0];
  return {
    asOf: snapshot.asOf,
    ageSeconds: Math.max(0, Math.round((Date.now() - Date.parse(snapshot.asOf)) / 1_000)),
    status: worstStatus([health.status, byFindings]),
    title: application?.title ?? config.connection?.database ?? "PostgreSQL",
    environment: config.profile,
    readOnly,
    server: primary?.up ? serverFacts(known) : null,
    findings: sorted,
    connections: primary?.up ? connectionsView(known) : null,
    activity: primary?.up ? activityView(known) : null,
    topQueries: topQueriesView(snapshot),
    replication: primary?.up ? replicationView(snapshot) : null,
    backups: backupsView(known),
    migrations: migrationsView(known),
    quality: qualityView(known),
    indexes: indexesView(known),
    steps: (mainJob?.steps ?? []).map(({ name, title, status, detail, durationMs }) => ({
      name,
      title,
      status,
      detail,
      durationMs,
    })),
  };
}

function serverFacts({ orchestrator, snapshot }: KnownState): StatusView["server"] {
  const primary = snapshot.servers[0]!;
  const database = orchestrator.config.connection?.database ?? "";
  const startedAt = valueOf(snapshot, "pg_postmaster_start_time_seconds", { server: primary.name });
  return {
    version: `${Math.floor(primary.versionNum / 10_000)}.${primary.versionNum % 10_000}`,
    role: primary.role === "standby" ? "standby" : "primary",
    database,
    startedAt: startedAt === undefined ? null : new Date(startedAt * 1_000).toISOString(),
    sizeBytes: valueOf(snapshot, "pg_database_size_bytes", { server: primary.name, datname: database }) ?? null,
  };
}

function connectionsView({ orchestrator, snapshot }: KnownState): StatusView["connections"] {
  const server = connections(snapshot).servers[0];
  if (!server) return null;
  const { total, idle, checkedOut, waiting, max, servers } = orchestrator.pool.stats();
  const byState = Object.entries(server.byState).map(([state, count]) => ({ state, count }));
  return {
    pool: { used: checkedOut, idle, waiting, max: max * Math.max(1, servers.length) },
    byState: byState.toSorted((a, b) => b.count - a.count),
    total: server.used,
    max: server.usable ?? total,
    chart: chart(orchestrator.monitor, snapshot, "Connections", "sessions", [
      ["connections", (labels) => labels["state"] || "unknown"],
    ]),
  };
}

function activityView({ orchestrator, snapshot }: KnownState): StatusView["activity"] {
  const lines = chart(orchestrator.monitor, snapshot, "Transactions", "per second", [
    ["commits", () => "committed"],
    ["rollbacks", () => "rolled back"],
  ]);
  const where = { server: snapshot.servers[0]!.name };
  const sum = (metric: string): number =>
    samplesOf(snapshot, metric)
      .filter(({ labels }) => labels["server"] === where.server)
      .reduce((total, { value }) => total + value, 0);
  const hit = sum("pg_stat_database_blks_hit");
  const read = sum("pg_stat_database_blks_read");
  return {
    transactionsPerSecond: lines?.series[0]?.points.findLast((point) => point !== null) ?? null,
    cacheHitRatio: hit + read === 0 ? null : hit / (hit + read),
    chart: lines,
  };
}

// Lines of the primary over the last minutes, put on one grid.
function chart(
  monitor: Monitor,
  snapshot: Snapshot,
  title: string,
  unit: string,
  names: readonly (readonly [name: string, label: (labels: Readonly<Record<string, string>>) => string])[],
): Chart | null {
  const to = Date.parse(snapshot.asOf);
  const from = to - chartMs;
  const server = snapshot.servers[0]!.name;
  const stepMs = chartMs / chartPoints;
  const series = names.flatMap(([name, label]) =>
    monitor
      .series(name, { from, to, stepMs })
      .filter(({ labels }) => labels["server"] === undefined || labels["server"] === server)
      .map((line) => {
        const points: (number | null)[] = Array.from({ length: chartPoints + 1 }, () => null);
        for (const [at, value] of line.points) points[Math.round((at - from) / stepMs)] = value;
        return { label: label(line.labels), points };
      }),
  );
  // Ten minutes back, or as far as anything is known: a young process has no empty past to show.
  const first = Math.min(
    ...series.map(({ points }) => points.findIndex((point) => point !== null)).filter((at) => at >= 0),
  );
  const skip = Number.isFinite(first) ? Math.min(first, chartPoints - 11) : 0;
  for (const line of series) line.points.splice(0, skip);
  const shown = series.filter(({ points }) => points.some((point) => point !== null && point > 0)).slice(0, 4);
  const lines = shown.length > 0 ? shown : series.slice(0, 1);
  if (lines.every(({ points }) => points.every((point) => point === null))) return null;
  return { title, unit, from: new Date(from + skip * stepMs).toISOString(), to: snapshot.asOf, series: lines };
}

function topQueriesView(snapshot: Snapshot): StatusView["topQueries"] {
  const primary = snapshot.servers[0];
  if (!primary?.up) return null;
  const rows = topQueries(snapshot, { server: primary.name, limit: 12 })
    .filter(({ queryId }) => queryId !== "other" && queryId !== "monitor")
    .map(({ queryId, user, database, text, calls, totalSeconds, meanMs, rows: count, share }) => ({
      id: `${queryId}:${user}:${database}`,
      text: text ?? `text not read yet, query id ${queryId}`,
      calls,
      totalMs: totalSeconds * 1_000,
      meanMs,
      rows: count,
      share,
    }));
  return {
    rows,
    note: rows.length > 0 ? null : "pg_stat_statements is not installed here, so statements are not counted.",
  };
}

function replicationView(snapshot: Snapshot): StatusView["replication"] {
  const primary = snapshot.servers[0]!.name;
  const { standbys, slots } = replication(snapshot);
  return {
    standbys: standbys
      .filter(({ server }) => server === primary)
      .map(({ name, state, lagSeconds, lagBytes, sync }) => ({
        name,
        state,
        lagMs: lagSeconds * 1_000,
        lagBytes,
        sync,
      })),
    slots: slots
      .filter(({ server }) => server === primary)
      .map(({ name, active, retainedBytes }) => ({ name, active, retainedBytes })),
  };
}

function backupsView({ orchestrator, backups, lastDrill }: KnownState): StatusView["backups"] {
  if (backups === undefined) return null;
  return {
    repository: orchestrator.backups.location,
    rows: backups.slice(0, 20).map(({ label, type, stoppedAt, bytes, storedBytes, encrypted, status }) => ({
      label,
      type,
      stoppedAt,
      sizeBytes: bytes,
      storedBytes,
      encrypted,
      status: status === "complete" ? "ok" : "suspect",
    })),
    lastDrill: lastDrill
      ? {
          at: lastDrill.at,
          ok: lastDrill.details["ok"] === true,
          tables: Number(lastDrill.details["tables"]),
          durationMs: lastDrill.durationMs,
        }
      : null,
  };
}

function migrationsView({ migrations }: KnownState): StatusView["migrations"] {
  if (!migrations) return null;
  const applied = migrations.migrations.filter(({ state }) => state === "applied");
  const latest = applied.at(-1);
  return {
    applied: applied.length,
    pending: migrations.migrations.filter(({ state }) => state === "pending").length,
    latest: latest?.id ?? null,
    latestAt: latest?.appliedAt ?? null,
  };
}

function qualityView(known: KnownState): StatusView["quality"] {
  const { lastValidation, mainJob } = known;
  if (!lastValidation) return null;
  const { score, rules, failed } = lastValidation.details;
  if (typeof score !== "number") return null;
  return {
    findings: stepFindings(mainJob, "quality").slice(0, 12),
    score,
    rules: Number(rules),
    failed: Number(failed),
    at: lastValidation.at,
  };
}

function indexesView(known: KnownState): StatusView["indexes"] {
  const { mainJob, lastTrial } = known;
  const facts = mainJob?.steps.find(({ name }) => name === "indexes")?.facts;
  const recommendations = (facts?.["recommendations"] ?? []) as readonly {
    id: string;
    definition: { table: string };
    why: string;
  }[];
  if (!facts && !lastTrial) return null;
  const trial = lastTrial?.details;
  const covered = new Set(recommendations.map(({ id }) => id));
  return {
    findings: stepFindings(mainJob, "indexes")
      .filter(({ subject = "", id }) => !covered.has(subject) && !id.includes("MISSING"))
      .slice(0, 8),
    recommendations: recommendations.map(({ id, definition, why }) => ({
      name: id,
      table: definition.table,
      why,
      command: `db optimize apply ${id}`,
    })),
    unused: Number(facts?.["unused"] ?? 0),
    duplicates: Number(facts?.["duplicates"] ?? 0),
    lastApplied:
      trial && trial["outcome"] === "kept"
        ? {
            name: String(trial["index"]),
            query: String(trial["query"]),
            beforeMs: Number(trial["beforeMs"]),
            afterMs: Number(trial["afterMs"]),
          }
        : null,
  };
}
