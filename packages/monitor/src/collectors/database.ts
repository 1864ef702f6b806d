import { type Collector, counter, defineView, gauge, type ViewOptions } from "../collector.ts";

const milliseconds = (column: string): string => `d.${column} / 1000`;

/** `pg_stat_database`: what happened in each database. */
export const databaseView: ViewOptions = {
  name: "stat_database",
  tier: "T0",
  labels: { datid: "d.datid", datname: "d.datname" },
  // The row without a name counts shared objects; it is the one that sees their checksum failures.
  from: "pg_catalog.pg_stat_database d",
  columns: [
    gauge("pg_stat_database_numbackends", "d.numbackends", "Backends connected to this database"),
    counter("pg_stat_database_xact_commit", "d.xact_commit", "Transactions committed"),
    counter("pg_stat_database_xact_rollback", "d.xact_rollback", "Transactions rolled back"),
    counter("pg_stat_database_blks_read", "d.blks_read", "Blocks read from outside shared buffers"),
    counter("pg_stat_database_blks_hit", "d.blks_hit", "Blocks found in shared buffers"),
    counter("pg_stat_database_tup_returned", "d.tup_returned", "Rows read by scans"),
    counter("pg_stat_database_tup_fetched", "d.tup_fetched", "Rows fetched by index scans"),
    counter("pg_stat_database_tup_inserted", "d.tup_inserted", "Rows inserted"),
    counter("pg_stat_database_tup_updated", "d.tup_updated", "Rows updated"),
    counter("pg_stat_database_tup_deleted", "d.tup_deleted", "Rows deleted"),
    counter("pg_stat_database_conflicts", "d.conflicts", "Queries cancelled by recovery, on a standby"),
    counter("pg_stat_database_temp_files", "d.temp_files", "Temporary files made by queries"),
    counter("pg_stat_database_temp_bytes", "d.temp_bytes", "Bytes written to temporary files"),
    counter("pg_stat_database_deadlocks", "d.deadlocks", "Deadlocks detected"),
    counter("pg_stat_database_checksum_failures", "d.checksum_failures", "Data pages whose checksum was wrong"),
    counter("pg_stat_database_blk_read_time", "d.blk_read_time", "Milliseconds spent reading blocks"),
    counter("pg_stat_database_blk_write_time", "d.blk_write_time", "Milliseconds spent writing blocks"),
    gauge("pg_stat_database_stats_reset", "extract(epoch from d.stats_reset)", "When these counters were reset"),
    counter("pg_stat_database_active_time_seconds_total", milliseconds("active_time"), "Time running statements", {
      since: 14,
    }),
    counter("pg_stat_database_session_time_seconds_total", milliseconds("session_time"), "Time sessions were open", {
      since: 14,
    }),
    counter(
      "pg_stat_database_idle_in_transaction_time_seconds_total",
      milliseconds("idle_in_transaction_time"),
      "Time sessions were idle in a transaction",
      { since: 14 },
    ),
    counter("pg_stat_database_sessions", "d.sessions", "Sessions established", { since: 14 }),
    counter("pg_stat_database_sessions_abandoned", "d.sessions_abandoned", "Sessions lost by their client", {
      since: 14,
    }),
    counter("pg_stat_database_sessions_fatal", "d.sessions_fatal", "Sessions ended by a fatal error", { since: 14 }),
    counter("pg_stat_database_sessions_killed", "d.sessions_killed", "Sessions ended by an operator", { since: 14 }),
    counter(
      "pg_stat_database_parallel_workers_to_launch",
      "d.parallel_workers_to_launch",
      "Parallel workers planned to be launched",
      { since: 18 },
    ),
    counter("pg_stat_database_parallel_workers_launched", "d.parallel_workers_launched", "Parallel workers launched", {
      since: 18,
    }),
  ],
};

/** The same, conflicts on a standby, ages of each database. */
export const databaseCollectors: readonly Collector[] = [
  defineView(databaseView),
  defineView({
    name: "stat_database_conflicts",
    tier: "T1",
    scope: "standby",
    labels: { datid: "c.datid", datname: "c.datname" },
    from: "pg_catalog.pg_stat_database_conflicts c",
    columns: [
      ...["tablespace", "lock", "snapshot", "bufferpin", "deadlock"].map((kind) =>
        counter(
          `pg_stat_database_conflicts_confl_${kind}`,
          `c.confl_${kind}`,
          `Queries cancelled on this standby: ${kind}`,
        ),
      ),
      counter(
        "pg_stat_database_conflicts_confl_active_logicalslot",
        "c.confl_active_logicalslot",
        "Logical slots cancelled on this standby",
        { since: 16 },
      ),
    ],
  }),
  defineView({
    name: "database_age",
    tier: "T1",
    labels: { datname: "d.datname" },
    from: "pg_catalog.pg_database d",
    columns: [
      gauge("pg_database_xid_age", "age(d.datfrozenxid)", "Transactions since the oldest row that is not frozen"),
      gauge("pg_database_mxid_age", "mxid_age(d.datminmxid)", "Multixacts since the oldest one still needed"),
      gauge(
        "pg_database_xid_left",
        // The server stops giving out transaction ids 3 million before the 2^31 it can tell apart.
        "2147483647 - 3000000 - age(d.datfrozenxid)::bigint",
        "Transactions left before the server refuses writes",
      ),
      gauge(
        "pg_database_wraparound_age_datfrozenxid_seconds",
        "age(d.datfrozenxid)",
        "Same as pg_database_xid_age, under the name older dashboards know (the unit is transactions)",
        { aliasOf: "pg_database_xid_age" },
      ),
      gauge(
        "pg_database_wraparound_age_datminmxid_seconds",
        "mxid_age(d.datminmxid)",
        "Same as pg_database_mxid_age, under the name older dashboards know (the unit is multixacts)",
        { aliasOf: "pg_database_mxid_age" },
      ),
    ],
  }),
  defineView({
    name: "database_size",
    tier: "T2",
    labels: { datname: "d.datname" },
    from: "pg_catalog.pg_database d where d.datallowconn and has_database_privilege(d.oid, 'connect')",
    columns: [
      gauge("pg_database_size_bytes", "pg_catalog.pg_database_size(d.oid)", "Disk space used by the database"),
      gauge("pg_database_connection_limit", "d.datconnlimit", "Connection limit of the database, -1 for none"),
    ],
  }),
];
