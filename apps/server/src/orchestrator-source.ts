import { compareFindings, type Finding, type Logger, worstStatus } from "@db/core";
import type { HeadView, Part } from "@db/dashboard";
import {
  type AlertFinding,
  connections,
  type InspectReport,
  keySeries,
  type MainJobReport,
  type Orchestrator,
  replication,
  samplesOf,
  type Snapshot,
  topQueries,
  valueOf,
  writeOpenMetrics,
  writePrometheus,
} from "@db/orchestrator";
import { actionsOf } from "./admin/orchestrator-actions.ts";
import { createLatencyMemory, sumOf } from "./latency.ts";
import { connectionsPage, locksPage, queriesPage, queryPage, throughputPage, withTexts } from "./pages/activity.ts";
import { backupsPage, migrationsPage, qualityPage } from "./pages/care.ts";
import type { KnownState, PageContext } from "./pages/known.ts";
import { loadPage } from "./pages/load.ts";
import { indexesPage, tablesPage } from "./pages/relations.ts";
import { replicationPage } from "./pages/replication.ts";
import { storagePage } from "./pages/storage.ts";
import { refreshed, type Refreshed } from "./refreshed.ts";
import type { ListAnswer, ListName, PageRequest, SeriesRequest, StatusSource } from "./source.ts";
import { createStatementMemory } from "./statement-memory.ts";
import { stepSummaries } from "./step-findings.ts";
import { statusView } from "./status-view.ts";

/** What the page shows beside what the services know. */
export interface OrchestratorSourceOptions {
  /** The last run of the main job, while there is one. */
  readonly mainJob?: () => MainJobReport | undefined;
  readonly logger: Logger;
}

const slowMs = 30_000;
const sampleMs = 5_000;
/** How old an answer may get: the tree of locks is live, sizes are not. */
const inspectMs = (name: string): number =>
  ["blocking", "locks", "sessions", "long", "waits"].includes(name) ? 1_000 : 10_000;
const mostRows = 1_000;

/** Everything the server shows, from the services. No answer waits for a database that does not. */
export function sourceFromOrchestrator(orchestrator: Orchestrator, options: OrchestratorSourceOptions): StatusSource {
  const { monitor } = orchestrator;
  const onError = (error: unknown): void =>
    options.logger.warn({ err: error }, "a part of the page could not be refreshed");
  const every = <T>(compute: () => Promise<T>, maxAgeMs: number, keepMs?: number) =>
    refreshed(compute, { maxAgeMs, firstWaitMs: 500, onError, ...(keepMs !== undefined && { keepMs }) });
  const backups = every(() => orchestrator.backups.list(), slowMs);
  const drill = every(async () => (await orchestrator.audit.last("backup.drill")) ?? null, slowMs);
  const validation = every(async () => (await orchestrator.audit.last("validation.run")) ?? null, slowMs);
  const trial = every(async () => (await orchestrator.audit.last("index.trial")) ?? null, slowMs);
  const migrations = every(() => orchestrator.migrations.status(), slowMs);
  const indexReport = every(() => orchestrator.indexes.analyze(), 600_000);
  const inspected = new Map<string, Refreshed<InspectReport>>();
  const inspect = (name: string): Promise<InspectReport | undefined> => {
    let known = inspected.get(name);
    if (!known) {
      const ms = inspectMs(name);
      // What is a minute old is no answer to "now".
      known = every(() => orchestrator.sessions.inspect(name, { limit: mostRows }), ms, 60_000);
      inspected.set(name, known);
    }
    return known.get();
  };

  const latency = createLatencyMemory();
  const statements = createStatementMemory();
  const sample = (): void => {
    if (!orchestrator.used.includes("pool")) return;
    const { queryTime, servers } = orchestrator.pool.stats();
    latency.record(Date.now(), queryTime, sumOf(servers.map(({ waitTime }) => waitTime)));
    statements.record(monitor.snapshot());
  };
  const timer = setInterval(sample, sampleMs);
  timer.unref();

  const known = async (): Promise<KnownState> => {
    const [health, backupList, lastDrill, lastValidation, lastTrial, migrationStatus] = await Promise.all([
      orchestrator.health(),
      backups.get(),
      drill.get(),
      validation.get(),
      trial.get(),
      migrations.get(),
    ]);
    return {
      orchestrator,
      snapshot: monitor.snapshot(),
      health,
      mainJob: options.mainJob?.(),
      backups: backupList,
      lastDrill: lastDrill ?? undefined,
      lastValidation: lastValidation ?? undefined,
      lastTrial: lastTrial ?? undefined,
      migrations: migrationStatus,
    };
  };

  return {
    actions: actionsOf(orchestrator),
    seriesNames: keySeries.map(({ name }) => name),
    close: () => clearInterval(timer),
    health: () => orchestrator.health(),
    started: () => true,
    async page(request) {
      const state = await known();
      sample();
      const findings = findingsOf(state);
      const head = headOf(state, request, findings);
      if (request.page === "status") return { head, status: statusView(state, findings, head, request.may), parts: [] };
      const context: PageContext = {
        ...state,
        head,
        latency,
        statements,
        inspect,
        indexReport: () => indexReport.get(),
        may: request.may,
      };
      return { head, parts: await partsOf(context, request, orchestrator) };
    },
    list: async (name) => listOf(name, await known(), inspect, statements),
    plan: (queryId) => orchestrator.sessions.explain(queryId),
    series: (request) => seriesOf(orchestrator, request, migrations),
    async metricsText(format, signal, collectors) {
      const current = await inTime(monitor, signal);
      const only = collectors === undefined ? {} : { collectors };
      const write = format === "openmetrics" ? writeOpenMetrics : writePrometheus;
      return (sink) => write(current, sink, only);
    },
    async metricsJson(detailed, signal) {
      const current = await inTime(monitor, signal);
      const summary = summaryOf(orchestrator, current);
      if (!detailed) return { version: 1, ...summary };
      return {
        version: 1,
        ...summary,
        topQueries: topQueries(current),
        findings: monitor.findings(),
        alerts: monitor.alerts(),
        blocks: current.servers.flatMap(({ name: server, blocks: each }) =>
          each.map(({ tables: _tables, error: _error, ...block }) => ({ server, ...block })),
        ),
      };
    },
  };
}

// Who asks has a time to wait. After it the last collection is told, each part with its age.
async function inTime(monitor: Orchestrator["monitor"], signal: AbortSignal): Promise<Snapshot> {
  try {
    return await monitor.collect({ signal, maxAgeMs: 1_000 });
  } catch (error) {
    if (!signal.aborted) throw error;
    return monitor.snapshot();
  }
}

function findingsOf({ orchestrator, mainJob }: KnownState): readonly AlertFinding[] {
  return [...orchestrator.monitor.findings(), ...stepSummaries(mainJob, orchestrator.readOnly)].toSorted(
    compareFindings,
  );
}

function headOf(state: KnownState, request: PageRequest, findings: readonly Finding[]): HeadView {
  const { orchestrator, snapshot, health } = state;
  const { config, application, readOnly } = orchestrator;
  const count = (severity: Finding["severity"]): number => findings.filter((each) => each.severity === severity).length;
  const [critical, warnings] = [count("critical"), count("warn")];
  const byFindings = critical > 0 ? "fail" : warnings > 0 ? "warn" : "pass";
  const asOf = snapshot.asOf;
  return {
    page: request.page,
    ...(request.item !== undefined && { item: request.item }),
    range: request.range,
    title: application?.title ?? config.connection?.database ?? "PostgreSQL",
    environment: config.profile,
    readOnly,
    status: worstStatus([health.status, byFindings]),
    critical,
    warnings,
    blocked: valueOf(snapshot, "pg_stat_activity_blocked_count", { server: snapshot.servers[0]?.name ?? "" }) ?? 0,
    asOf,
    ageSeconds: Math.max(0, Math.round((Date.now() - Date.parse(asOf)) / 1_000)),
    signedInAs: request.signedInAs,
  };
}

async function partsOf(
  context: PageContext,
  { page, item }: PageRequest,
  { sessions }: Orchestrator,
): Promise<readonly Part[]> {
  switch (page) {
    case "queries":
      return item === undefined
        ? queriesPage(context)
        : queryPage(context, item, await sessions.explain(item).catch(() => undefined));
    case "load":
      return loadPage(context);
    case "connections":
      return connectionsPage(context);
    case "locks":
      return locksPage(context);
    case "throughput":
      return throughputPage(context);
    case "replication":
      return replicationPage(context);
    case "tables":
      return tablesPage(context);
    case "indexes":
      return indexesPage(context);
    case "storage":
      return storagePage(context);
    case "backups":
      return backupsPage(context);
    case "migrations":
      return migrationsPage(context);
    default:
      return qualityPage(context);
  }
}

async function listOf(
  name: ListName,
  { orchestrator, snapshot, backups, migrations }: KnownState,
  inspect: PageContext["inspect"],
  statements: PageContext["statements"],
): Promise<ListAnswer> {
  const { asOf } = snapshot;
  switch (name) {
    case "queries":
      return {
        asOf,
        rows: withTexts(statements.ranked(snapshot, "all", mostRows).rows, await inspect("queries")),
        note: null,
      };
    case "backups":
      return { asOf, rows: backups ?? [], note: backups ? null : "the repository was not read yet" };
    case "migrations":
      return { asOf, rows: migrations?.migrations ?? [], note: migrations ? null : "the history was not read yet" };
    case "alerts":
      return { asOf, rows: orchestrator.monitor.alerts(), note: null };
    default: {
      const report = await inspect(name);
      if (!report) return { asOf, rows: [], note: "the server does not answer just now" };
      return { asOf: report.asOf, rows: report.rows, note: report.note };
    }
  }
}

function seriesOf(
  { monitor }: Orchestrator,
  { name, from, to, stepMs }: SeriesRequest,
  migrations: Refreshed<Awaited<ReturnType<Orchestrator["migrations"]["status"]>>>,
): object {
  const within = (at: string | null): boolean => at !== null && Date.parse(at) >= from && Date.parse(at) <= to;
  return {
    name,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    stepMs,
    series: monitor
      .series(name, { from, to, stepMs })
      .map(({ unit, title, labels, points }) => ({ unit, title, labels, points })),
    markers: (migrations.known?.migrations ?? [])
      .filter(({ appliedAt }) => within(appliedAt))
      .map(({ id, appliedAt }) => ({ at: appliedAt, kind: "migration", label: id })),
  };
}

function summaryOf(orchestrator: Orchestrator, current: Snapshot): object {
  return {
    asOf: current.asOf,
    servers: current.servers.map(({ name, up, role, versionNum, durationMs }) => ({
      name,
      up,
      role,
      versionNum,
      durationMs,
    })),
    connections: connections(current),
    replication: replication(current),
    databaseSizeBytes: samplesOf(current, "pg_database_size_bytes").map(({ labels, value }) => ({
      ...labels,
      bytes: value,
    })),
    pool: orchestrator.pool.stats(),
  };
}
