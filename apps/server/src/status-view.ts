import type { ActionLink, HeadView, StatusView } from "@db/dashboard";
import {
  type AlertFinding,
  connections,
  replication,
  samplesOf,
  type Snapshot,
  topQueries,
  valueOf,
} from "@db/orchestrator";

import { seriesChart } from "./pages/charts.ts";
import type { KnownState, PageContext } from "./pages/known.ts";
import { scrub } from "./problem.ts";
import { stepFindings } from "./step-findings.ts";

/** The page's data, from what is known. Pure: asks nobody. */
export function statusView(
  known: KnownState,
  findings: readonly AlertFinding[],
  head: HeadView,
  may: PageContext["may"],
): StatusView {
  const { snapshot, mainJob } = known;
  const primary = snapshot.servers[0];
  return {
    asOf: snapshot.asOf,
    ageSeconds: head.ageSeconds,
    status: head.status,
    title: head.title,
    environment: head.environment,
    readOnly: head.readOnly,
    server: primary?.up ? serverFacts(known) : null,
    findings: findings.map(({ alertId, silenceId, ...finding }) => {
      const actions = alertActions(may, finding.title, { alertId, silenceId });
      return actions.length === 0 ? finding : { ...finding, actions };
    }),
    connections: primary?.up ? connectionsView(known, head) : null,
    activity: primary?.up ? activityView(known, head) : null,
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
      detail: scrub(detail),
      durationMs,
    })),
  };
}

/** Keeping it quiet, or ending that, where whoever looks may. */
function alertActions(
  may: PageContext["may"],
  title: string,
  { alertId, silenceId }: { readonly alertId: string | undefined; readonly silenceId: string | undefined },
): readonly ActionLink[] {
  if (silenceId !== undefined) {
    if (!may("alerts.unsilence")) return [];
    return [{ label: "End silence", about: `End: ${title}`, path: `api/admin/silences/${silenceId}/end`, args: {} }];
  }
  if (alertId === undefined || !may("alerts.silence")) return [];
  const path = `api/admin/alerts/${alertId}/silence`;
  return [{ label: "Silence", about: `Silence: ${title}`, path, args: {}, asks: silenceQuestions }];
}

const silenceQuestions: NonNullable<ActionLink["asks"]> = [
  { name: "reason", label: "Why, for whoever looks" },
  {
    name: "minutes",
    label: "For how long",
    choices: [
      { label: "until it ends", value: 0 },
      { label: "1 hour", value: 60 },
      { label: "4 hours", value: 240 },
      { label: "1 day", value: 1_440 },
      { label: "7 days", value: 10_080 },
    ],
  },
];

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

function connectionsView(known: KnownState, head: HeadView): StatusView["connections"] {
  const { orchestrator, snapshot } = known;
  const server = connections(snapshot).servers[0];
  if (!server) return null;
  const { total, idle, checkedOut, waiting, max, servers } = orchestrator.pool.stats();
  const byState = Object.entries(server.byState).map(([state, count]) => ({ state, count }));
  return {
    pool: { used: checkedOut, idle, waiting, max: max * Math.max(1, servers.length) },
    byState: byState.toSorted((a, b) => b.count - a.count),
    total: server.used,
    max: server.usable ?? total,
    chart:
      seriesChart(
        { ...known, head },
        {
          title: "Connections",
          unit: "sessions",
          kind: "count",
          stacked: true,
          most: 4,
          lines: [{ name: "connections", label: ({ state }) => state || "unknown" }],
        },
      )[0] ?? null,
  };
}

function activityView(known: KnownState, head: HeadView): StatusView["activity"] {
  const { snapshot } = known;
  const [lines = null] = seriesChart(
    { ...known, head },
    {
      title: "Transactions",
      unit: "per second",
      kind: "per second",
      lines: [
        { name: "commits", label: () => "committed" },
        { name: "rollbacks", label: () => "rolled back" },
      ],
    },
  );
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
    repository: scrub(orchestrator.backups.location),
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
