import { age, columnsOf, epoch, since, type ValueCheck } from "./value-check.ts";

export function databaseChecks(version: number): readonly ValueCheck[] {
  const counters =
    "numbackends xact_commit xact_rollback blks_read blks_hit tup_returned tup_fetched tup_inserted tup_updated tup_deleted conflicts temp_files temp_bytes deadlocks blk_read_time blk_write_time";
  return [
    {
      labels: { datid: "datid", datname: "coalesce(datname, '')" },
      from: "pg_stat_database",
      values: {
        ...columnsOf("pg_stat_database_", counters),
        pg_stat_database_checksum_failures: "coalesce(checksum_failures, 0)",
        ...(version >= 14 && {
          ...columnsOf("pg_stat_database_", "sessions sessions_abandoned sessions_fatal sessions_killed"),
          pg_stat_database_active_time_seconds_total: "active_time / 1000",
          pg_stat_database_session_time_seconds_total: "session_time / 1000",
          pg_stat_database_idle_in_transaction_time_seconds_total: "idle_in_transaction_time / 1000",
        }),
        ...(version >= 18 && columnsOf("pg_stat_database_", "parallel_workers_to_launch parallel_workers_launched")),
      },
    },
    {
      labels: { datname: "datname" },
      from: "pg_stat_database where stats_reset is not null",
      values: { pg_stat_database_stats_reset: epoch("stats_reset") },
      on: "primary",
    },
    {
      labels: { datname: "datname" },
      from: "pg_stat_database_conflicts",
      values: {
        ...columnsOf(
          "pg_stat_database_conflicts_",
          "confl_tablespace confl_lock confl_snapshot confl_bufferpin confl_deadlock",
        ),
        ...(version >= 16 && columnsOf("pg_stat_database_conflicts_", "confl_active_logicalslot")),
      },
      on: "replica-1",
    },
    {
      labels: { datname: "datname" },
      from: "pg_database",
      values: {
        pg_database_xid_age: "age(datfrozenxid)",
        pg_database_wraparound_age_datfrozenxid_seconds: "age(datfrozenxid)",
        pg_database_xid_left: "2 ^ 31 - 1 - 3e6 - age(datfrozenxid)",
        pg_database_mxid_age: "mxid_age(datminmxid)",
        pg_database_wraparound_age_datminmxid_seconds: "mxid_age(datminmxid)",
      },
    },
    {
      labels: { datname: "datname" },
      from: "pg_database where datallowconn",
      values: { pg_database_size_bytes: "pg_database_size(datname)", pg_database_connection_limit: "datconnlimit" },
    },
  ];
}

export function writingChecks(version: number): readonly ValueCheck[] {
  const alias = (old: string, now: string): Record<string, string> => ({
    [`pg_stat_bgwriter_${old}_total`]: version >= 17 ? `c.${now}` : `b.${old}`,
  });
  return [
    {
      labels: {},
      from: `pg_stat_bgwriter b ${version >= 17 ? ", pg_stat_checkpointer c" : ""}`,
      values: {
        ...alias("checkpoints_timed", "num_timed"),
        ...alias("checkpoints_req", "num_requested"),
        ...alias("checkpoint_write_time", "write_time"),
        ...alias("checkpoint_sync_time", "sync_time"),
        ...alias("buffers_checkpoint", "buffers_written"),
        ...columnsOf("pg_stat_bgwriter_", "buffers_clean maxwritten_clean buffers_alloc", "_total", "b."),
        ...(version < 17 && columnsOf("pg_stat_bgwriter_", "buffers_backend buffers_backend_fsync", "_total", "b.")),
        pg_stat_bgwriter_stats_reset_total: epoch("b.stats_reset"),
      },
    },
    ...since<ValueCheck>(version, 17, [
      {
        labels: {},
        from: "pg_stat_checkpointer",
        values: {
          ...columnsOf(
            "pg_stat_checkpointer_",
            "num_timed num_requested restartpoints_timed restartpoints_req restartpoints_done write_time sync_time buffers_written",
            "_total",
          ),
          ...(version >= 18 && columnsOf("pg_stat_checkpointer_", "num_done slru_written", "_total")),
          pg_stat_checkpointer_stats_reset_total: epoch("stats_reset"),
        },
      },
    ]),
    ...since<ValueCheck>(version, 14, [
      {
        labels: {},
        from: "pg_stat_wal",
        values: {
          pg_stat_wal_records_total: "wal_records",
          pg_stat_wal_fpi_total: "wal_fpi",
          pg_stat_wal_bytes_total: "wal_bytes",
          pg_stat_wal_buffers_full_total: "wal_buffers_full",
        },
      },
    ]),
    {
      labels: {},
      from: "pg_stat_archiver",
      values: {
        pg_stat_archiver_archived_count: "archived_count",
        pg_stat_archiver_failed_count: "failed_count",
        pg_stat_archiver_last_archive_age: age("last_archived_time"),
        pg_stat_archiver_failing: "(failed_count > archived_count)::int",
      },
      on: "primary",
    },
  ];
}
