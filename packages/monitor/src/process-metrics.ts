import type { Labels, Metrics } from "@db/core";
import type { HistogramSample, MetricFamily } from "./family.ts";
import type { MetricDefinition, MetricType } from "./metric.ts";

/** Metrics that other parts of the process report, by the name they report them under. */
interface ProcessMetric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** Label values known before anything happened: a counter that begins at 1 shows no growth. */
  readonly known?: readonly Labels[];
}

const results = (...values: readonly string[]): readonly Labels[] => values.map((result) => ({ result }));
const counter = (name: string, help: string, known: readonly Labels[] = [{}]): ProcessMetric => ({
  name: `${name}_total`,
  type: "counter",
  help,
  known,
});
const gauge = (name: string, help: string): ProcessMetric => ({ name, type: "gauge", help });
const histogram = (name: string, help: string): ProcessMetric => ({ name, type: "histogram", help });

const processMetrics: readonly ProcessMetric[] = [
  gauge("db_client_connection_idle_min", "Connections kept open"),
  gauge("db_client_connection_connecting", "Connections being opened"),
  histogram("db_client_connection_create_time_seconds", "Time to open a connection"),
  histogram("db_client_connection_wait_time_seconds", "Time waited for a connection"),
  histogram("db_client_connection_use_time_seconds", "Time a connection was held"),
  counter("db_client_connection_failures", "Connections that could not be made", []),
  histogram("db_client_operation_duration_seconds", "Time of statements"),
  counter("db_backup_runs", "Backups begun, by how they ended", results("complete", "suspect", "failed")),
  gauge("db_backup_suspect", "1 while the last backup holds pages with broken checksums, else 0"),
  gauge("db_backup_last_success_timestamp_seconds", "When the last backup was completed"),
  gauge("db_backup_last_size_bytes", "Size of what the last backup holds"),
  gauge("db_backup_last_stored_bytes", "Size of the last backup in the repository"),
  histogram("db_backup_duration_seconds", "Time a backup took"),
  counter("db_backup_restores", "Restores begun, by how they ended", results("complete", "failed")),
  histogram("db_backup_restore_duration_seconds", "Time a restore took"),
  counter("db_backup_verifications", "Verifications of the repository, by what they found", results("ok", "faulty")),
  counter("db_backup_drills", "Restore drills, by how they ended", results("ok", "failed")),
  gauge("db_backup_last_drill_timestamp_seconds", "When the last restore drill ended"),
  counter("db_backup_dumps", "Dumps begun, by how they ended", results("complete", "failed")),
  counter("db_backup_expired", "Backups removed by retention"),
  counter("db_backup_wal_segments", "WAL segments received"),
  counter("db_backup_wal_errors", "Faults of the WAL receiver"),
  counter("db_backup_wal_gaps", "Gaps in the WAL received"),
  gauge("db_backup_wal_lag_bytes", "WAL written by the server and not yet in the repository"),
  gauge("db_backup_wal_rpo_seconds", "Age of the newest transaction that a restore would bring back"),
  gauge("db_migrate_pending", "Migrations in the folder that were not applied"),
  counter("db_migrate_applied", "Migrations applied", [{ direction: "up" }, { direction: "down" }]),
  counter("db_migrate_failed", "Migrations that failed", [{ direction: "up" }, { direction: "down" }]),
  counter("db_migrate_lock_retries", "Times a migration waited in vain for a lock"),
  histogram("db_migrate_duration_seconds", "Time a migration took"),
  gauge("db_validation_score_ratio", "Part of the weighted data rules that hold"),
  counter(
    "db_validation_rules",
    "Data rules checked, by what they found",
    ["passed", "failed", "proved", "error"].map((status) => ({ status })),
  ),
  histogram("db_validation_duration_seconds", "Time a validation took"),
];

/** The same as definitions, for the registry. */
export const processMetricDefinitions: readonly MetricDefinition[] = processMetrics.map(
  ({ name, type, help, known }) => ({
    name,
    type,
    help,
    labels: Object.keys(known?.[0] ?? {}),
    tier: "T0",
    collector: "process",
    since: 12,
    scope: "any",
  }),
);

/** Bounds of histograms, seconds: from a statement to a night's backup. */
const bounds = [0.01, 0.1, 1, 5, 15, 60, 300, 900, 3_600, 14_400] as const;

/** Takes what features report through `Metrics` of `@db/core`, and gives it to a monitor's `metrics`. */
export interface ProcessMetrics extends Metrics {
  /** What was reported so far. Counters that are known are there from the start, at 0. */
  families(): readonly MetricFamily[];
}

interface Line {
  readonly labels: Labels;
  value: number;
  readonly counts: number[];
  sum: number;
}

interface Kept {
  readonly type: MetricType;
  readonly help: string;
  readonly lines: Map<string, Line>;
}

/** Makes an empty store for the metrics of this process. */
export function createProcessMetrics(): ProcessMetrics {
  const kept = new Map<string, Kept>();
  const lineOf = (name: string, type: MetricType, labels: Labels): Line => {
    let family = kept.get(name);
    if (!family) {
      family = { type, help: name, lines: new Map() };
      kept.set(name, family);
    }
    const key = JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    let line = family.lines.get(key);
    if (!line) {
      line = { labels: { ...labels }, value: 0, counts: bounds.map(() => 0), sum: 0 };
      family.lines.set(key, line);
    }
    return line;
  };
  for (const { name, type, help, known = [] } of processMetrics) {
    kept.set(name, { type, help, lines: new Map() });
    for (const labels of known) lineOf(name, type, labels);
  }
  return {
    count: (name, labels = {}, by = 1) => {
      lineOf(name, "counter", labels).value += by;
    },
    gauge: (name, value, labels = {}) => {
      lineOf(name, "gauge", labels).value = value;
    },
    observe: (name, value, labels = {}) => {
      const line = lineOf(name, "histogram", labels);
      line.value += 1;
      line.sum += value;
      for (const [i, bound] of bounds.entries()) if (value <= bound) line.counts[i]! += 1;
    },
    families: () =>
      [...kept].flatMap(([name, { type, help, lines }]): readonly MetricFamily[] => {
        const all = [...lines.values()];
        if (all.length === 0) return [];
        if (type === "histogram") return [{ name, help, type, samples: all.map(histogramOf) }];
        return [{ name, help, type, samples: all.map(({ labels, value }) => ({ labels, value })) }];
      }),
  };
}

function histogramOf({ labels, counts, sum, value }: Line): HistogramSample {
  return { labels, buckets: bounds.map((le, i) => ({ le, count: counts[i]! })), sum, count: value };
}
