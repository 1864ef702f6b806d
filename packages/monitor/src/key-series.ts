import { aggregate, and, arithmetic, compare, type Expression, metric, quantile, rate } from "./alerts/expression.ts";

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
    name: "connections.used",
    unit: "connections",
    title: "Connections of clients",
    expression: aggregate("sum", metric("pg_stat_activity_count", { backend_type: "client backend" })),
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
  ...([0.5, 0.95, 0.99] as const).map((of) => ({
    name: `latency.p${of * 100}`,
    unit: "seconds" as const,
    title: `Time of a statement, ${of === 0.5 ? "the median" : `${of * 100} of 100 are faster`}`,
    expression: quantile(of, "db_client_operation_duration_seconds", 5),
  })),
  {
    name: "waits",
    unit: "sessions",
    title: "Active sessions by what they wait for, sampled",
    expression: aggregate("sum", rate("pg_wait_sampling_seconds_total", 1), ["wait_event_type"]),
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
    name: "mxid.age",
    unit: "count",
    title: "Oldest multixact id by database",
    expression: metric("pg_database_mxid_age"),
  },
  {
    name: "sequences.used",
    unit: "ratio",
    title: "Part of its range used, by sequence",
    expression: metric("pg_sequences_used_ratio"),
  },
  {
    name: "disk.used",
    unit: "bytes",
    title: "Used on the file system of",
    expression: arithmetic(metric("node_filesystem_size_bytes"), "-", metric("node_filesystem_avail_bytes")),
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
