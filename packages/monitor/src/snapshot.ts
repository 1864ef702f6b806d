import type { Facts } from "./facts.ts";
import type { MetricFamily } from "./family.ts";
import type { HostStats } from "./host.ts";
import type { Tier } from "./metric.ts";
import type { PoolStats } from "./pool-stats.ts";

/** Rows that share their labels: one line per thing (a table, a database), one number per metric. */
export interface MetricTable {
  readonly labelNames: readonly string[];
  readonly metrics: readonly string[];
  readonly rows: readonly MetricRow[];
}

/** `labels` in the order of `labelNames`, `values` in the order of `metrics`; `null` where there is no value. */
export interface MetricRow {
  readonly labels: readonly string[];
  readonly values: readonly (number | null)[];
}

/** What one collector read, with its age. */
export interface Block {
  readonly collector: string;
  readonly tier: Tier;
  /** When the values were read, ISO 8601; `null` when they never were. */
  readonly asOf: string | null;
  /** Age of the values when the snapshot was taken, milliseconds; `null` when there are none. */
  readonly ageMs: number | null;
  /** How long the last attempt took, milliseconds: what the collector costs. */
  readonly durationMs: number;
  /** How often it is read, milliseconds: by its tier, and longer when it costs much. */
  readonly everyMs: number;
  /** False when the last attempt failed; the values are then those of the one before. */
  readonly success: boolean;
  /** Why the last attempt failed. Holds no values of rows. */
  readonly error?: string;
  readonly tables: readonly MetricTable[];
}

/** One server of the topology. */
export interface ServerSnapshot {
  readonly name: string;
  /** True when it answered the last collection. */
  readonly up: boolean;
  /** `unknown` until it has answered once. */
  readonly role: "primary" | "standby" | "unknown";
  /** `server_version_num`, 0 until it has answered once. */
  readonly versionNum: number;
  /** Time the last collection took on this server, milliseconds. */
  readonly durationMs: number;
  readonly error?: string;
  readonly blocks: readonly Block[];
  readonly facts: Facts;
}

/** Everything known at one moment. Plain data: it can be stored, sent and compared. */
export interface Snapshot {
  /** ISO 8601. */
  readonly asOf: string;
  /** The primary first. */
  readonly servers: readonly ServerSnapshot[];
  /** What this process knows by itself: pools and the machine it runs on. */
  readonly blocks: readonly Block[];
  readonly pool?: PoolStats;
  readonly host?: HostStats;
  /** Metrics that other parts of the process gave. */
  readonly families: readonly MetricFamily[];
}

/** One number of one series. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Where the values of one metric stand. */
interface Column {
  readonly server: string | undefined;
  readonly table: MetricTable;
  readonly column: number;
}

interface SnapshotIndex {
  readonly columns: ReadonlyMap<string, readonly Column[]>;
  readonly samples: Map<string, readonly Sample[]>;
}

const indexes = new WeakMap<Snapshot, SnapshotIndex>();

/** The series of one metric over all servers; server metrics carry a `server` label. Empty when there are none. */
export function samplesOf(snapshot: Snapshot, metric: string): readonly Sample[] {
  let index = indexes.get(snapshot);
  if (!index) {
    index = { columns: columnsOf(snapshot), samples: familySamples(snapshot) };
    indexes.set(snapshot, index);
  }
  const known = index.samples.get(metric);
  if (known) return known;
  // Of a hundred thousand series a few hundred are asked about, so only those are made.
  const samples = (index.columns.get(metric) ?? []).flatMap(samplesIn);
  index.samples.set(metric, samples);
  return samples;
}

/** The one value of a metric on one server, summed when it has several series; undefined when it has none. */
export function valueOf(
  snapshot: Snapshot,
  metric: string,
  where: Readonly<Record<string, string>>,
): number | undefined {
  let total: number | undefined;
  for (const sample of samplesOf(snapshot, metric)) {
    if (Object.entries(where).every(([name, value]) => sample.labels[name] === value))
      total = (total ?? 0) + sample.value;
  }
  return total;
}

/** A histogram as the series Prometheus makes of it. */
function histogramSamples(
  family: Extract<MetricFamily, { readonly type: "histogram" }>,
): ReadonlyMap<string, Sample[]> {
  const { name, samples } = family;
  return new Map([
    [
      `${name}_bucket`,
      samples.flatMap(({ labels, buckets, count }) => [
        ...buckets
          .filter(({ le }) => Number.isFinite(le))
          .map((bucket) => ({ labels: { ...labels, le: String(bucket.le) }, value: bucket.count })),
        { labels: { ...labels, le: "+Inf" }, value: count },
      ]),
    ],
    [`${name}_sum`, samples.map(({ labels, sum }) => ({ labels, value: sum }))],
    [`${name}_count`, samples.map(({ labels, count }) => ({ labels, value: count }))],
  ]);
}

/** What another part of the process gives itself replaces what was made from its statistics. */
function familySamples(snapshot: Snapshot): Map<string, readonly Sample[]> {
  const samples = new Map<string, readonly Sample[]>();
  for (const family of snapshot.families) {
    if (family.type !== "histogram") samples.set(family.name, [...family.samples]);
    else for (const [name, each] of histogramSamples(family)) samples.set(name, each);
  }
  return samples;
}

function columnsOf(snapshot: Snapshot): ReadonlyMap<string, readonly Column[]> {
  const columns = new Map<string, Column[]>();
  const add = (blocks: readonly Block[], server: string | undefined): void => {
    for (const table of blocks.flatMap(({ tables }) => tables)) {
      for (const [column, metric] of table.metrics.entries()) {
        const others = columns.get(metric);
        if (others) others.push({ server, table, column });
        else columns.set(metric, [{ server, table, column }]);
      }
    }
  };
  add(snapshot.blocks, undefined);
  for (const server of snapshot.servers) add(server.blocks, server.name);
  return columns;
}

function samplesIn({ server, table, column }: Column): readonly Sample[] {
  return table.rows.flatMap((row) => {
    const value = row.values[column];
    if (value === null || value === undefined) return [];
    const labels: Record<string, string> = server === undefined ? {} : { server };
    for (const [i, name] of table.labelNames.entries()) labels[name] = row.labels[i] ?? "";
    return { labels, value };
  });
}
