import type { Logger } from "@db/core";
import {
  connections,
  type MainJobReport,
  type Orchestrator,
  renderOpenMetrics,
  renderPrometheus,
  replication,
  samplesOf,
  type Snapshot,
  topQueries,
} from "@db/orchestrator";
import { refreshed } from "./refreshed.ts";
import type { StatusSource } from "./source.ts";
import { type KnownState, statusView } from "./status-view.ts";

/** What the page shows beside what the services know. */
export interface OrchestratorSourceOptions {
  /** The last run of the main job, while there is one. */
  readonly mainJob?: () => MainJobReport | undefined;
  readonly logger: Logger;
}

const slowMs = 30_000;

/** Everything the server shows, from the services. No answer waits for a database that does not. */
export function sourceFromOrchestrator(orchestrator: Orchestrator, options: OrchestratorSourceOptions): StatusSource {
  const { monitor } = orchestrator;
  const onError = (error: unknown): void =>
    options.logger.warn({ err: error }, "a part of the page could not be refreshed");
  const every = <T>(compute: () => Promise<T>, maxAgeMs: number) =>
    refreshed(compute, { maxAgeMs, firstWaitMs: 500, onError });
  const backups = every(() => orchestrator.backups.list(), slowMs);
  const drill = every(async () => (await orchestrator.audit.last("backup.drill")) ?? null, slowMs);
  const validation = every(async () => (await orchestrator.audit.last("validation.run")) ?? null, slowMs);
  const trial = every(async () => (await orchestrator.audit.last("index.trial")) ?? null, slowMs);
  const migrations = every(() => orchestrator.migrations.status(), slowMs);
  const snapshot = (): Snapshot => monitor.snapshot();

  return {
    health: () => orchestrator.health(),
    started: () => true,
    async view() {
      const [health, ...rest] = await Promise.all([
        orchestrator.health(),
        backups.get(),
        drill.get(),
        validation.get(),
        trial.get(),
        migrations.get(),
      ]);
      const [backupList, lastDrill, lastValidation, lastTrial, migrationStatus] = rest;
      const known: KnownState = {
        orchestrator,
        snapshot: snapshot(),
        health,
        mainJob: options.mainJob?.(),
        backups: backupList,
        lastDrill: lastDrill ?? undefined,
        lastValidation: lastValidation ?? undefined,
        lastTrial: lastTrial ?? undefined,
        migrations: migrationStatus,
      };
      return statusView(known);
    },
    async metricsText(format, signal) {
      const current = await monitor.collect({ signal, maxAgeMs: 1_000 });
      return format === "openmetrics" ? renderOpenMetrics(current) : renderPrometheus(current);
    },
    async metricsJson(detailed, signal) {
      const current = await monitor.collect({ signal, maxAgeMs: 1_000 });
      const summary = {
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
      if (!detailed) return { version: 1, ...summary };
      const blocks = current.servers.flatMap(({ name, blocks: each }) =>
        each.map(({ collector, tier, asOf, ageMs, durationMs, success }) => ({
          server: name,
          collector,
          tier,
          asOf,
          ageMs,
          durationMs,
          success,
        })),
      );
      return {
        version: 1,
        ...summary,
        topQueries: topQueries(current),
        findings: monitor.findings(),
        alerts: monitor.alerts(),
        blocks,
      };
    },
  };
}
