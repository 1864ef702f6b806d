/** A panel of a dashboard that no key series is behind: tops of many, by the query language alone. */
export interface DetailPanel {
  readonly title: string;
  readonly unit: string;
  readonly expr: string;
  readonly legend: string;
}

export interface DetailDashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly DetailPanel[];
}

const top = (expr: string): string => `topk(10, ${expr})`;
const rate = (metric: string): string => `rate(${metric}[$__rate_interval])`;
const query = "{{server}} {{datname}} {{queryid}}";
const table = "{{server}} {{datname}} {{schemaname}}.{{relname}}";

/** Dashboards for a closer look, each a topic. */
export const detailDashboards: readonly DetailDashboard[] = [
  {
    uid: "db-monitor-queries",
    title: "PostgreSQL queries",
    panels: [
      { title: "Time by query", unit: "s", expr: top(rate("pg_stat_statements_seconds_total")), legend: query },
      { title: "Calls by query", unit: "ops", expr: top(rate("pg_stat_statements_calls_total")), legend: query },
      {
        title: "Mean time by query",
        unit: "s",
        expr: top(`${rate("pg_stat_statements_seconds_total")} / (${rate("pg_stat_statements_calls_total")} > 0)`),
        legend: query,
      },
      { title: "Rows by query", unit: "rowsps", expr: top(rate("pg_stat_statements_rows_total")), legend: query },
      {
        title: "Blocks read by query",
        unit: "ops",
        expr: top(rate("pg_stat_statements_shared_blks_read_total")),
        legend: query,
      },
      {
        title: "Temporary blocks by query",
        unit: "ops",
        expr: top(rate("pg_stat_statements_temp_blks_written_total")),
        legend: query,
      },
      { title: "WAL by query", unit: "Bps", expr: top(rate("pg_stat_statements_wal_bytes_total")), legend: query },
      { title: "Slower than usual", unit: "short", expr: "pg_query_regression_ratio", legend: query },
      {
        title: "Load by wait event",
        unit: "short",
        expr: `sum by (instance, server, wait_event_type, wait_event) (${rate("pg_wait_sampling_seconds_total")})`,
        legend: "{{server}} {{wait_event_type}} {{wait_event}}",
      },
    ],
  },
  {
    uid: "db-monitor-tables",
    title: "PostgreSQL tables and vacuum",
    panels: [
      { title: "Largest tables", unit: "bytes", expr: top("pg_stat_user_tables_table_size_bytes"), legend: table },
      {
        title: "Largest indexes of a table",
        unit: "bytes",
        expr: top("pg_stat_user_tables_index_size_bytes"),
        legend: table,
      },
      {
        title: "Rows read by sequential scans",
        unit: "rowsps",
        expr: top(rate("pg_stat_user_tables_seq_tup_read")),
        legend: table,
      },
      {
        title: "Rows written",
        unit: "rowsps",
        expr: top(
          `${rate("pg_stat_user_tables_n_tup_ins")} + ${rate("pg_stat_user_tables_n_tup_upd")} + ${rate("pg_stat_user_tables_n_tup_del")}`,
        ),
        legend: table,
      },
      { title: "Dead rows", unit: "short", expr: top("pg_stat_user_tables_n_dead_tup"), legend: table },
      { title: "Over the autovacuum trigger", unit: "short", expr: "pg_vacuum_trigger_ratio", legend: table },
      {
        title: "Vacuums by autovacuum",
        unit: "short",
        expr: "sum by (instance, server, datname) (increase(pg_stat_user_tables_autovacuum_count[1h]))",
        legend: "{{server}} {{datname}}",
      },
      {
        title: "Blocks read",
        unit: "ops",
        expr: top(rate("pg_statio_user_tables_heap_blocks_read")),
        legend: table,
      },
      {
        title: "Index scans",
        unit: "ops",
        expr: top(rate("pg_stat_user_indexes_idx_scan_total")),
        legend: "{{server}} {{datname}} {{indexrelname}}",
      },
      { title: "Transaction ids left", unit: "short", expr: "pg_database_xid_left", legend: "{{server}} {{datname}}" },
    ],
  },
  {
    uid: "db-monitor-replication",
    title: "PostgreSQL replication, WAL and I/O",
    panels: [
      {
        title: "Replay lag",
        unit: "s",
        expr: "pg_stat_replication_replay_lag_seconds",
        legend: "{{application_name}}",
      },
      {
        title: "WAL behind",
        unit: "bytes",
        expr: "pg_stat_replication_pg_wal_lsn_diff",
        legend: "{{application_name}}",
      },
      { title: "WAL received", unit: "short", expr: "pg_wal_receiver_up", legend: "{{server}}" },
      {
        title: "WAL retained by slots",
        unit: "bytes",
        expr: "pg_replication_slots_pg_wal_lsn_diff",
        legend: "{{slot_name}}",
      },
      {
        title: "WAL left for slots",
        unit: "bytes",
        expr: "pg_replication_slots_safe_wal_size_bytes",
        legend: "{{slot_name}}",
      },
      { title: "WAL written", unit: "Bps", expr: rate("pg_stat_wal_bytes_total"), legend: "{{server}}" },
      { title: "Files in pg_wal", unit: "bytes", expr: "pg_wal_size_bytes", legend: "{{server}}" },
      { title: "WAL files to archive", unit: "short", expr: "pg_wal_archive_ready_files", legend: "{{server}}" },
      {
        title: "Checkpoints",
        unit: "short",
        expr: "increase(pg_stat_bgwriter_checkpoints_req_total[1h])",
        legend: "{{server}} requested",
      },
      {
        title: "I/O by who does it",
        unit: "Bps",
        expr: `sum by (instance, server, backend_type) (${rate("pg_stat_io_read_bytes_total")} + ${rate("pg_stat_io_write_bytes_total")})`,
        legend: "{{server}} {{backend_type}}",
      },
    ],
  },
];
