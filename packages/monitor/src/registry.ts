import type { Collector, Detail } from "./collector.ts";
import { activityCollector } from "./collectors/activity.ts";
import { catalogCollector, preparedCollector } from "./collectors/catalog.ts";
import { databaseCollectors } from "./collectors/database.ts";
import { horizonCollector } from "./collectors/horizon.ts";
import { indexCollector } from "./collectors/indexes.ts";
import { ioCollector } from "./collectors/io.ts";
import { locksCollector } from "./collectors/locks.ts";
import { progressCollector } from "./collectors/progress.ts";
import { replicationCollectors } from "./collectors/replication.ts";
import { sequenceCollector } from "./collectors/sequences.ts";
import { serverCollectors } from "./collectors/server.ts";
import { settingsCollector } from "./collectors/settings.ts";
import { statementCollector } from "./collectors/statements.ts";
import { tableCollector, tableSizeCollector } from "./collectors/table.ts";
import { vacuumCollector } from "./collectors/vacuum.ts";
import { writingCollectors } from "./collectors/writing.ts";
import { hostMetrics } from "./host.ts";
import { hasMetric, type MetricDefinition } from "./metric.ts";
import { poolMetrics } from "./pool-stats.ts";
import { processMetricDefinitions } from "./process-metrics.ts";
import { forecastMetrics } from "./forecast/capacity.ts";
import { regressionMetrics } from "./regression/regressions.ts";
import { selfMetrics } from "./self.ts";
import { waitMetrics } from "./waits/waits.ts";

/** Every collector that reads a server, cheap ones first: when time runs out, the dear ones wait. */
export const collectors: readonly Collector[] = Object.freeze(
  [
    ...serverCollectors,
    activityCollector,
    ...databaseCollectors,
    locksCollector,
    ...replicationCollectors,
    ...writingCollectors,
    ioCollector,
    horizonCollector,
    progressCollector,
    settingsCollector,
    preparedCollector,
    statementCollector,
    tableCollector,
    vacuumCollector,
    indexCollector,
    sequenceCollector,
    catalogCollector,
    tableSizeCollector,
  ].toSorted((a, b) => a.tier.localeCompare(b.tier)),
);

/** Every metric there is. */
export const metricRegistry: readonly MetricDefinition[] = Object.freeze([
  ...selfMetrics,
  ...collectors.flatMap((collector) => collector.metrics),
  ...regressionMetrics,
  ...waitMetrics,
  ...forecastMetrics,
  ...poolMetrics,
  ...hostMetrics,
  ...processMetricDefinitions,
]);

/** The metrics a server of that major version and role gives, by default without those of `detail: "full"`. */
export function metricsFor(
  version: number,
  role: "primary" | "standby",
  detail: Detail = "usual",
): readonly MetricDefinition[] {
  return metricRegistry.filter(
    (metric) => hasMetric(metric, version, role) && (metric.detail === undefined || metric.detail === detail),
  );
}
