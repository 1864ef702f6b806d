import { columnsOf, age, epoch, since, type ValueCheck } from "./value-check.ts";

export function serverChecks(version: number): readonly ValueCheck[] {
  return [
    {
      labels: {},
      from: "pg_control_recovery(), pg_control_system() s",
      values: {
        pg_postmaster_start_time_seconds: epoch("pg_postmaster_start_time()"),
        pg_replication_is_replica: "(pg_is_in_recovery())::int",
        pg_static: "1",
        pg_connections_usable: `current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
          - coalesce(current_setting('reserved_connections', true)::int, 0)`,
      },
    },
    {
      labels: { datname: "coalesce(datname, '')", backend_type: "backend_type" },
      from: "pg_stat_activity where application_name <> 'db-monitor' group by 1, 2",
      values: { pg_stat_activity_count: "count(*)" },
    },
    {
      labels: { state: "state" },
      from: "pg_stat_activity where state like 'idle in%' group by 1",
      values: { pg_stat_activity_count: "count(*)", pg_stat_activity_max_tx_duration: `max(${age("xact_start")})` },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_stat_activity where state = 'idle in transaction'",
      values: { pg_stat_activity_max_idle_in_transaction_seconds: `max(${age("state_change")})` },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_locks l join pg_stat_activity a using (pid) where not granted",
      values: {
        pg_stat_activity_blocked_count: "count(distinct pid)",
        pg_stat_activity_max_query_seconds: `max(${age("query_start")})`,
        pg_stat_activity_max_lock_wait_seconds: `max(${age(version >= 14 ? "waitstart" : "query_start")})`,
      },
      on: "primary",
    },
    {
      labels: { holder: "'prepared'" },
      from: "pg_prepared_xacts",
      values: { pg_xmin_horizon_age: "max(age(transaction))" },
      on: "primary",
    },
    {
      labels: { holder: "'slot'" },
      from: "pg_replication_slots",
      values: { pg_xmin_horizon_age: "max(age(catalog_xmin))" },
      on: "primary",
    },
    {
      labels: { view: "'archiver'" },
      from: "pg_stat_archiver",
      values: { pg_stats_reset_timestamp_seconds: epoch("stats_reset") },
    },
    {
      labels: { view: "'bgwriter'" },
      from: "pg_stat_bgwriter",
      values: { pg_stats_reset_timestamp_seconds: epoch("stats_reset") },
    },
    {
      // Those who look hold this mode themselves.
      labels: { datname: "datname", mode: "lower(mode)" },
      from: "pg_locks l join pg_database d on d.oid = l.database where mode <> 'AccessShareLock' group by 1, 2",
      values: { pg_locks_count: "count(*)" },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_prepared_xacts",
      values: { pg_prepared_xacts_count: "count(*)", pg_prepared_xacts_max_age_seconds: `max(${age("prepared")})` },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_ls_dir('pg_wal') f (name), pg_stat_file('pg_wal/' || f.name) s where not s.isdir",
      values: { pg_wal_segments: "count(*)", pg_wal_size_bytes: "sum(s.size)" },
    },
    {
      labels: {},
      from: "pg_ls_dir('pg_wal/archive_status') f (name) where name like '%.ready'",
      values: { pg_wal_archive_ready_files: "count(*)" },
    },
    ...since<ValueCheck>(version, 13, [
      {
        labels: { name: "name" },
        from: "pg_stat_slru",
        values: {
          ...columnsOf("pg_stat_slru_", "blks_zeroed blks_hit blks_read blks_written blks_exists", "_total"),
          ...columnsOf("pg_stat_slru_", "flushes truncates", "_total"),
        },
      },
    ]),
    ...since<ValueCheck>(version, 16, [
      {
        labels: { backend_type: "backend_type", object: "object", context: "context" },
        from: "pg_stat_io",
        values: Object.fromEntries([
          ...["reads", "writes", "extends", "fsyncs", "hits", "evictions", "reuses", "writebacks"].map((each) => [
            `pg_stat_io_${each}_total`,
            `coalesce(${each}, 0)`,
          ]),
          ...["read", "write", "extend"].map((each) => [
            `pg_stat_io_${each}_bytes_total`,
            `coalesce(${version >= 18 ? `${each}_bytes` : `${each}s * op_bytes`}, 0)`,
          ]),
          ...["read", "write", "extend", "fsync", "writeback"].map((each) => [
            `pg_stat_io_${each}_seconds_total`,
            `coalesce(${each}_time, 0) / 1000`,
          ]),
        ]),
      },
    ]),
  ];
}

export function settingChecks(version: number): readonly ValueCheck[] {
  const plain =
    "max_connections superuser_reserved_connections max_locks_per_transaction max_prepared_transactions max_wal_senders max_replication_slots max_worker_processes max_parallel_workers max_parallel_workers_per_gather autovacuum autovacuum_max_workers autovacuum_freeze_max_age autovacuum_multixact_freeze_max_age autovacuum_vacuum_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_cost_limit checkpoint_completion_target fsync full_page_writes data_checksums hot_standby hot_standby_feedback jit track_activities track_counts track_io_timing log_lock_waits random_page_cost effective_io_concurrency block_size"
      .split(" ")
      .concat(since(version, 13, ["hash_mem_multiplier"]), since(version, 16, ["reserved_connections"]))
      .concat(version === 12 ? ["wal_keep_segments"] : []);
  const seconds =
    "autovacuum_naptime autovacuum_vacuum_cost_delay checkpoint_timeout deadlock_timeout statement_timeout lock_timeout idle_in_transaction_session_timeout log_min_duration_statement".split(
      " ",
    );
  const bytes =
    "shared_buffers work_mem maintenance_work_mem effective_cache_size wal_buffers max_wal_size min_wal_size wal_segment_size"
      .split(" ")
      .concat(since(version, 13, ["max_slot_wal_keep_size", "wal_keep_size"]));
  const shown = (name: string): string => `current_setting('${name}')`;
  return [
    {
      labels: {},
      from: "pg_settings where pending_restart",
      values: {
        pg_settings_pending_restart: "count(*)",
        ...Object.fromEntries([
          ...plain.map((name) => [
            `pg_settings_${name}`,
            `case ${shown(name)} when 'on' then '1' when 'off' then '0' else ${shown(name)} end`,
          ]),
          ...seconds.map((name) => [`pg_settings_${name}_seconds`, epoch(`${shown(name)}::interval`)]),
          ...bytes.map((name) => [`pg_settings_${name}_bytes`, `pg_size_bytes(${shown(name)})`]),
        ]),
      },
    },
  ];
}
