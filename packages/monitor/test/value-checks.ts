/** What an independent query says the metrics of one collector are. */
export interface ValueCheck {
  /** Label names and how the query tells them; the series of a metric that agree in these are added up. */
  readonly labels: Readonly<Record<string, string>>;
  readonly from: string;
  /** Metric and its value, in SQL. */
  readonly values: Readonly<Record<string, string>>;
  readonly on?: "primary" | "replica-1";
}

const columnsOf = (prefix: string, names: string, suffix = "", source = ""): Record<string, string> =>
  Object.fromEntries(names.split(" ").map((name) => [`${prefix}${name}${suffix}`, `${source}${name}`]));
const epoch = (sql: string): string => `extract(epoch from ${sql})`;

/** Time since a moment: it grows, so what is read between two answers lies between them. */
const age = (sql: string): string => epoch(`clock_timestamp() - ${sql}`);

/** From one version on. */
const since = <T>(version: number, first: number, given: readonly T[]): readonly T[] => (version >= first ? given : []);

/** Metrics of the server that no second query can tell: they move both ways between two, or nothing causes them here. */
export const unchecked: ReadonlySet<string> = new Set([
  ...["write", "flush", "replay"].map((what) => `pg_stat_replication_${what}_lag_seconds`),
  "pg_replication_last_msg_age_seconds",
  "pg_stat_subscription_last_msg_age_seconds",
  "pg_stat_archiver_last_failed_seconds",
  "pg_settings_fingerprint",
  "pg_stat_user_tables_last_autovacuum",
  "pg_stat_user_tables_last_autoanalyze",
]);

/** The checks for a version. They read the views, and never what the collectors read where there are two ways. */
export function valueChecks(version: number): readonly ValueCheck[] {
  return [
    ...serverChecks(version),
    ...settingChecks(version),
    ...databaseChecks(version),
    ...writingChecks(version),
    ...replicationChecks(version),
    ...relationChecks(version),
    ...statementChecks(version),
  ];
}

function serverChecks(version: number): readonly ValueCheck[] {
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

function settingChecks(version: number): readonly ValueCheck[] {
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

function databaseChecks(version: number): readonly ValueCheck[] {
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

function writingChecks(version: number): readonly ValueCheck[] {
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

function replicationChecks(version: number): readonly ValueCheck[] {
  const here = "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')";
  return [
    {
      labels: { application_name: "application_name", pid: "pid" },
      from: "pg_stat_replication",
      values: {
        pg_stat_replication_pg_current_wal_lsn_bytes: here,
        pg_stat_replication_pg_wal_lsn_diff: `${here} - pg_wal_lsn_diff(replay_lsn, '0/0')`,
        pg_stat_replication_sync_state: "array_position(array['async', 'potential', 'sync', 'quorum'], sync_state) - 1",
      },
      on: "primary",
    },
    { labels: {}, from: "pg_stat_replication", values: { pg_stat_replication_standbys: "count(*)" } },
    {
      labels: {},
      from: "(select 1) one",
      values: {
        pg_wal_receiver_up: "(select count(*) from pg_stat_wal_receiver)",
        pg_replication_last_replay_seconds: age("pg_last_xact_replay_timestamp()"),
        pg_replication_lag_seconds: age("pg_last_xact_replay_timestamp()"),
        pg_replication_replay_paused: "pg_is_wal_replay_paused()::int",
        pg_replication_replay_delay_bytes:
          "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0') - pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')",
      },
      on: "replica-1",
    },
    {
      labels: { slot_name: "slot_name" },
      from: "pg_replication_slots",
      values: {
        pg_replication_slots_active: "(active_pid is not null)::int",
        pg_replication_slots_slot_is_active: "(active_pid is not null)::int",
        pg_replication_slots_pg_wal_lsn_diff: `${here} - pg_wal_lsn_diff(restart_lsn, '0/0')`,
        pg_replication_slots_slot_current_wal_lsn: here,
        pg_replication_slots_slot_confirmed_flush_lsn: "coalesce(pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'), 0)",
        ...(version >= 13 && { pg_replication_slots_wal_status: "1" }),
        ...(version >= 17 && { pg_replication_slots_invalidated: "conflicting::int" }),
      },
      on: "primary",
    },
    ...since<ValueCheck>(version, 13, [
      {
        labels: { slot_name: "slot_name" },
        from: "pg_replication_slots where safe_wal_size is not null",
        values: { pg_replication_slots_safe_wal_size_bytes: "safe_wal_size" },
        on: "primary",
      },
    ]),
    ...since<ValueCheck>(version, 17, [
      {
        labels: { slot_name: "slot_name" },
        from: "pg_replication_slots where inactive_since is not null",
        values: { pg_replication_slots_inactive_seconds: age("inactive_since") },
        on: "primary",
      },
    ]),
    ...since<ValueCheck>(version, 14, [
      {
        labels: { slot_name: "slot_name" },
        from: "pg_stat_replication_slots",
        values: columnsOf("pg_stat_replication_slots_", "spill_bytes stream_bytes total_bytes", "_total"),
        on: "primary",
      },
    ]),
    {
      labels: { subname: "subname" },
      from: "pg_stat_subscription where relid is null",
      values: { pg_stat_subscription_up: "(pid is not null)::int" },
      on: "primary",
    },
    ...since<ValueCheck>(version, 15, [
      {
        labels: { subname: "subname" },
        from: "pg_stat_subscription_stats",
        values: columnsOf("pg_stat_subscription_stats_", "apply_error_count sync_error_count"),
        on: "primary",
      },
    ]),
  ];
}

function relationChecks(version: number): readonly ValueCheck[] {
  const counted =
    "seq_scan seq_tup_read idx_scan idx_tup_fetch n_tup_ins n_tup_upd n_tup_del n_tup_hot_upd n_live_tup n_dead_tup n_mod_since_analyze vacuum_count autovacuum_count analyze_count autoanalyze_count"
      .split(" ")
      .concat(since(version, 13, ["n_ins_since_vacuum"]), since(version, 16, ["n_tup_newpage_upd"]));
  // Up to 14 the view counts the index of a TOAST table once for every index of the table.
  const toastIndex = (column: string): string =>
    `(select coalesce(sum(x.${column}), 0) from pg_statio_all_indexes x join pg_class c on c.reltoastrelid = x.relid
       where c.oid = s.relid)`;
  const blocks = ["read", "hit"].flatMap((what) => [
    ...["heap", "idx", "toast"].map((kind) => [
      `pg_statio_user_tables_${kind}_blocks_${what}`,
      `coalesce(io.${kind}_blks_${what}, 0)`,
    ]),
    [`pg_statio_user_tables_tidx_blocks_${what}`, toastIndex(`idx_blks_${what}`)],
  ]);
  const forks = (relation: string): string =>
    ["main", "fsm", "vm"].map((fork) => `coalesce(pg_relation_size(${relation}, '${fork}'), 0)`).join(" + ");
  const inDatabase = { datname: "current_database()" };
  return [
    {
      labels: { schemaname: "schemaname", relname: "relname" },
      from: "pg_stat_user_tables s join pg_statio_user_tables io using (relid, schemaname, relname)",
      values: Object.fromEntries([
        ...counted.map((name) => [`pg_stat_user_tables_${name}`, `coalesce(s.${name}, 0)`]),
        ...blocks,
      ]),
    },
    ...["vacuum", "autovacuum", "analyze", "autoanalyze"].map((what): ValueCheck => ({
      labels: { relname: "relname" },
      from: `pg_stat_user_tables where last_${what} is not null`,
      values: { [`pg_stat_user_tables_last_${what}`]: epoch(`last_${what}`) },
      on: "primary",
    })),
    {
      labels: { relname: "c.relname" },
      from: `pg_class c join pg_stat_user_tables s on s.relid = c.oid left join pg_class t on t.oid = c.reltoastrelid
               left join pg_index x on x.indrelid = t.oid`,
      values: {
        pg_stat_user_tables_table_size_bytes: `${forks("c.oid")} + ${forks("t.oid")} + ${forks("x.indexrelid")}`,
        pg_stat_user_tables_index_size_bytes: `(select coalesce(sum(${forks("indexrelid")}), 0) from pg_index i where i.indrelid = c.oid)`,
      },
    },
    {
      labels: { relname: "relname", indexrelname: "indexrelname" },
      from: "pg_stat_user_indexes s join pg_statio_user_indexes io using (indexrelid, relname, indexrelname)",
      values: {
        pg_stat_user_indexes_idx_scan_total: "idx_scan",
        pg_stat_user_indexes_idx_tup_read_total: "idx_tup_read",
        pg_stat_user_indexes_idx_tup_fetch_total: "idx_tup_fetch",
        pg_statio_user_indexes_idx_blks_read_total: "idx_blks_read",
        pg_statio_user_indexes_idx_blks_hit_total: "idx_blks_hit",
      },
    },
    ...since<ValueCheck>(version, 16, [
      {
        labels: { indexrelname: "indexrelname" },
        from: "pg_stat_user_indexes where last_idx_scan is not null",
        values: { pg_stat_user_indexes_last_idx_scan: epoch("last_idx_scan") },
        on: "primary",
      },
    ]),
    ...[
      ["half", "100"],
      ["wide", "2147483647"],
    ].map(([name, end]): ValueCheck => ({
      labels: { sequencename: `'${name}'` },
      from: name!,
      values: { pg_sequences_used_ratio: `last_value::float8 / ${end}` },
      on: "primary",
    })),
    {
      labels: inDatabase,
      from: "wide",
      values: { pg_sequences_used_ratio_max: "last_value::float8 / 2147483647" },
      on: "primary",
    },
    {
      labels: { relname: "s.relname" },
      from: "pg_stat_user_tables s join pg_class c on c.oid = s.relid where s.relname = 'keyless'",
      values: { pg_vacuum_trigger_ratio: "n_dead_tup / (50 + 0.2 * reltuples)" },
      on: "primary",
    },
    {
      labels: inDatabase,
      from: "pg_stat_user_tables s join pg_class c on c.oid = s.relid",
      values: {
        pg_vacuum_tables_overdue: "count(*) filter (where n_dead_tup > 50 + 0.2 * greatest(reltuples, 0))",
        pg_vacuum_trigger_ratio_max: "max(n_dead_tup / (50 + 0.2 * greatest(reltuples, 0)))",
      },
      on: "primary",
    },
    {
      labels: inDatabase,
      from: "pg_tables t where schemaname = 'public'",
      values: {
        pg_table_without_primary_key:
          "count(*) filter (where not exists (select from information_schema.table_constraints k where k.table_name = t.tablename and k.constraint_type = 'PRIMARY KEY'))",
        pg_constraint_not_validated: "(select count(*) from pg_constraint where not convalidated)",
        pg_index_invalid: "(select count(*) from pg_index where not indisvalid)",
      },
      on: "primary",
    },
  ];
}

function statementChecks(version: number): readonly ValueCheck[] {
  const read = version >= 17 ? "shared_blk_" : "blk_";
  const time = version >= 13 ? "exec_time" : "time";
  const counted =
    "calls rows shared_blks_hit shared_blks_read temp_blks_written shared_blks_dirtied shared_blks_written local_blks_hit local_blks_read local_blks_dirtied local_blks_written temp_blks_read"
      .split(" ")
      .concat(since(version, 13, ["wal_bytes"]));
  return [
    {
      labels: { datname: "d.datname", queryid: "s.queryid", user: "pg_get_userbyid(s.userid)" },
      // Those that nobody runs now: nothing here, nothing of the monitor's.
      from: `pg_stat_statements s join pg_database d on d.oid = s.dbid
              where query ~ 'kept|keyless|pending' and query !~ 'pg_' group by 1, 2, 3`,
      values: {
        ...Object.fromEntries(counted.map((name) => [`pg_stat_statements_${name}_total`, `sum(s.${name})`])),
        pg_stat_statements_seconds_total: `sum(total_${time}) / 1000`,
        pg_stat_statements_block_read_seconds_total: `sum(${read}read_time) / 1000`,
        pg_stat_statements_block_write_seconds_total: `sum(${read}write_time) / 1000`,
        ...(version >= 13 && { pg_stat_statements_plan_seconds_total: "sum(total_plan_time) / 1000" }),
        pg_stat_statements_min_seconds: `min(min_${time}) / 1000`,
        pg_stat_statements_max_seconds: `max(max_${time}) / 1000`,
        pg_stat_statements_stddev_seconds: `max(stddev_${time}) / 1000`,
      },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_stat_statements",
      values: {
        pg_stat_statements_entries: "count(*)",
        pg_stat_statements_entries_ratio: "count(*) / current_setting('pg_stat_statements.max')::float8",
        ...(version >= 14 && { pg_stat_statements_dealloc_total: "(select dealloc from pg_stat_statements_info)" }),
      },
      on: "primary",
    },
  ];
}
