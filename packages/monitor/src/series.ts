import { evaluate } from "./alerts/evaluate.ts";
import { aggregate, and, arithmetic, compare, type Expression, metric, rate, windowsOf } from "./alerts/expression.ts";
import { SampleWindow } from "./alerts/window.ts";
import type { Snapshot } from "./snapshot.ts";

/** A line of a chart, kept in memory. */
export interface KeySeries {
  readonly name: string;
  readonly unit:
    | "connections"
    | "sessions"
    | "per second"
    | "bytes"
    | "bytes per second"
    | "seconds"
    | "ratio"
    | "count";
  readonly title: string;
  readonly expression: Expression;
}

const ofDatabases = { datname: { not: "" } } as const;
const summed = (name: string): Expression => aggregate("sum", rate(name, 1, ofDatabases));

/** What charts are drawn from: about a hundred series, whatever the number of tables and statements. */
export const keySeries: readonly KeySeries[] = Object.freeze([
  {
    name: "connections",
    unit: "connections",
    title: "Connections by state",
    expression: aggregate("sum", metric("pg_stat_activity_count", { backend_type: "client backend" }), ["state"]),
  },
  {
    name: "connections.max",
    unit: "connections",
    title: "Connections allowed",
    expression: metric("pg_connections_usable"),
  },
  {
    name: "load",
    unit: "sessions",
    title: "Active sessions by what they wait for",
    expression: aggregate(
      "sum",
      metric("pg_stat_activity_count", { backend_type: "client backend", state: "active" }),
      ["wait_event_type"],
    ),
  },
  {
    name: "blocked",
    unit: "sessions",
    title: "Sessions waiting for a lock",
    expression: metric("pg_stat_activity_blocked_count"),
  },
  { name: "commits", unit: "per second", title: "Commits", expression: summed("pg_stat_database_xact_commit") },
  { name: "rollbacks", unit: "per second", title: "Rollbacks", expression: summed("pg_stat_database_xact_rollback") },
  { name: "deadlocks", unit: "per second", title: "Deadlocks", expression: summed("pg_stat_database_deadlocks") },
  {
    name: "rows.fetched",
    unit: "per second",
    title: "Rows fetched",
    expression: summed("pg_stat_database_tup_fetched"),
  },
  {
    name: "rows.written",
    unit: "per second",
    title: "Rows inserted, updated and deleted",
    expression: arithmetic(
      arithmetic(summed("pg_stat_database_tup_inserted"), "+", summed("pg_stat_database_tup_updated")),
      "+",
      summed("pg_stat_database_tup_deleted"),
    ),
  },
  {
    name: "temp.bytes",
    unit: "bytes per second",
    title: "Written to temporary files",
    expression: summed("pg_stat_database_temp_bytes"),
  },
  {
    name: "cache.hits",
    unit: "ratio",
    title: "Blocks found in shared buffers",
    expression: arithmetic(
      summed("pg_stat_database_blks_hit"),
      "/",
      arithmetic(summed("pg_stat_database_blks_hit"), "+", summed("pg_stat_database_blks_read")),
    ),
  },
  { name: "wal.bytes", unit: "bytes per second", title: "WAL written", expression: rate("pg_stat_wal_bytes_total", 1) },
  {
    name: "replication.seconds",
    unit: "seconds",
    title: "Replay lag by standby",
    expression: aggregate("max", metric("pg_stat_replication_replay_lag_seconds"), ["application_name"]),
  },
  {
    name: "replication.bytes",
    unit: "bytes",
    title: "WAL not yet replayed by standby",
    expression: aggregate("max", metric("pg_stat_replication_pg_wal_lsn_diff"), ["application_name"]),
  },
  {
    name: "slots.bytes",
    unit: "bytes",
    title: "WAL retained by slot",
    expression: aggregate("max", metric("pg_replication_slots_pg_wal_lsn_diff"), ["slot_name"]),
  },
  {
    name: "database.bytes",
    unit: "bytes",
    title: "Size by database",
    expression: and(metric("pg_database_size_bytes"), compare(metric("pg_replication_is_replica"), "==", 0)),
  },
  {
    name: "xid.age",
    unit: "count",
    title: "Oldest transaction id by database",
    expression: metric("pg_database_xid_age"),
  },
  {
    name: "xmin.age",
    unit: "count",
    title: "Transactions VACUUM must respect",
    expression: aggregate("max", metric("pg_xmin_horizon_age")),
  },
  {
    name: "pool",
    unit: "connections",
    title: "Pool connections by state",
    expression: metric("db_client_connection_count"),
  },
  {
    name: "pool.waiting",
    unit: "count",
    title: "Acquires waiting for a connection",
    expression: metric("db_client_connection_pending_requests"),
  },
] satisfies readonly KeySeries[]);

export interface SeriesQuery {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  /** Width of a point; values within it are averaged. */
  readonly stepMs: number;
}

export interface Series {
  readonly name: string;
  readonly unit: KeySeries["unit"];
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Start of the step in milliseconds since the epoch, and the mean over it; `null` where nothing was seen. */
  readonly points: readonly (readonly [number, number | null])[];
}

const maxSeries = 300;
const maxPoints = 10_000;

/** A bounded memory of key series: a ring of moments, one value per series and moment. */
export class SeriesStore {
  readonly #definitions: readonly KeySeries[];
  readonly #window: SampleWindow;
  readonly #spacingMs: number;
  readonly #times: Float64Array;
  readonly #values = new Map<string, { definition: KeySeries; labels: Series["labels"]; values: Float64Array }>();
  #next = 0;
  #size = 0;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor({ intervalMs, historyMs }: { readonly intervalMs: number; readonly historyMs: number }) {
    this.#definitions = keySeries;
    const windows = new Map<string, number>();
    for (const { expression } of keySeries) for (const [name, ms] of windowsOf(expression)) windows.set(name, ms);
    this.#window = new SampleWindow(windows);
    this.#spacingMs = intervalMs / 2;
    this.#times = new Float64Array(Math.min(maxPoints, Math.max(2, Math.ceil(historyMs / intervalMs))));
  }

  /** Remembers a snapshot. Snapshots closer than half the interval to the last are passed over. */
  record(snapshot: Snapshot, now: number): void {
    if (now - this.#lastAt < this.#spacingMs) return;
    this.#lastAt = now;
    this.#window.record(snapshot, now);
    const slot = this.#next;
    this.#next = (slot + 1) % this.#times.length;
    this.#size = Math.min(this.#size + 1, this.#times.length);
    this.#times[slot] = now;
    for (const { values } of this.#values.values()) values[slot] = Number.NaN;
    for (const definition of this.#definitions) {
      for (const { labels, value } of evaluate(definition.expression, { snapshot, window: this.#window, now })) {
        const key = JSON.stringify([definition.name, Object.entries(labels)]);
        let series = this.#values.get(key);
        if (!series) {
          this.#makeRoom();
          series = { definition, labels, values: new Float64Array(this.#times.length).fill(Number.NaN) };
          this.#values.set(key, series);
        }
        series.values[slot] = value;
      }
    }
  }

  /** The series of one name between two moments, one for each set of labels. Empty for an unknown name. */
  query(name: string, { from, to, stepMs }: SeriesQuery): readonly Series[] {
    const step = Math.max(1, stepMs, (to - from) / maxPoints);
    return [...this.#values.values()]
      .filter(({ definition }) => definition.name === name)
      .map(({ definition, labels, values }) => ({
        name,
        unit: definition.unit,
        title: definition.title,
        labels,
        points: this.#average(values, from, to, step),
      }))
      .filter(({ points }) => points.some(([, value]) => value !== null));
  }

  #average(values: Float64Array, from: number, to: number, step: number): Series["points"] {
    const buckets = Math.max(0, Math.ceil((to - from) / step));
    const sums = new Float64Array(buckets);
    const counts = new Uint32Array(buckets);
    for (let i = 0; i < this.#size; i++) {
      const at = this.#times[i]!;
      const value = values[i]!;
      if (at < from || at >= to || Number.isNaN(value)) continue;
      const bucket = Math.floor((at - from) / step);
      sums[bucket]! += value;
      counts[bucket]! += 1;
    }
    return Array.from(
      { length: buckets },
      (_, i) => [from + i * step, counts[i]! > 0 ? sums[i]! / counts[i]! : null] as const,
    );
  }

  /** A series that has no value left in the ring goes first; then the one begun longest ago. */
  #makeRoom(): void {
    if (this.#values.size < maxSeries) return;
    for (const [key, { values }] of this.#values) {
      if (values.every(Number.isNaN)) {
        this.#values.delete(key);
        return;
      }
    }
    const oldest = this.#values.keys().next().value;
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}
