/** A series of one sample a minute: `from`, and `step` more each minute. */
export interface CaseSeries {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly from: number;
  readonly step: number;
  /** The minute of its last sample; absent, it lasts. */
  readonly until?: number;
}

/** A state of servers in which a rule fires with a severity, and one like it in which it is silent. */
export interface RuleCase {
  readonly rule: string;
  readonly severity: "page" | "warn" | "info";
  readonly fires: readonly CaseSeries[];
  readonly silent: readonly CaseSeries[];
  /** When it is looked at, minutes after the beginning. */
  readonly atMinute: number;
}

type Labels = Readonly<Record<string, string>>;

const own = { server: "primary" } as const;
const app = { ...own, datname: "app" } as const;
const at = (metric: string, from: number, labels: Labels = own, step = 0): CaseSeries => ({
  metric,
  labels,
  from,
  step,
});

function ruleCase(
  rule: string,
  severity: RuleCase["severity"],
  fires: readonly CaseSeries[],
  silent: readonly CaseSeries[],
  atMinute = 150,
): RuleCase {
  return { rule, severity, fires, silent, atMinute };
}

/** One metric that must not pass a limit. */
function simple(
  rule: string,
  severity: RuleCase["severity"],
  metric: string,
  fires: number,
  silent: number,
  labels: Labels = own,
): RuleCase {
  return ruleCase(rule, severity, [at(metric, fires, labels)], [at(metric, silent, labels)]);
}

const primary = at("pg_replication_is_replica", 0);
const standby = at("pg_replication_is_replica", 1);
const clients = (count: number): CaseSeries =>
  at("pg_stat_activity_count", count, { ...app, backend_type: "client backend", state: "idle" });
const usable = at("pg_connections_usable", 100);
const pool = (used: number, waiting: number): readonly CaseSeries[] => [
  at("db_client_connection_count", used, { pool: "app", state: "used" }),
  at("db_client_connection_max", 10, { pool: "app" }),
  at("db_client_connection_pending_requests", waiting, { pool: "app" }),
];
const disk = (available: number): readonly CaseSeries[] => [
  at("node_filesystem_size_bytes", 100, { mountpoint: "/data" }),
  at("node_filesystem_avail_bytes", available, { mountpoint: "/data" }),
];
const lag = (seconds: number, bytes: number): readonly CaseSeries[] => [
  at("pg_stat_replication_replay_lag_seconds", seconds, { ...own, application_name: "s1", pid: "7" }),
  at("pg_stat_replication_pg_wal_lsn_diff", bytes, { ...own, application_name: "s1", pid: "7" }),
];
const locks = (count: number): readonly CaseSeries[] => [
  at("pg_locks_count", count, { ...app, mode: "accesssharelock" }),
  at("pg_settings_max_locks_per_transaction", 64),
  at("pg_settings_max_connections", 100),
];
const transactions = (committed: number, rolledBack: number): readonly CaseSeries[] => [
  at("pg_stat_database_xact_commit", 0, app, committed),
  at("pg_stat_database_xact_rollback", 0, app, rolledBack),
];
const age = (kind: "xid" | "mxid", value: number): readonly CaseSeries[] => [
  at(`pg_database_${kind}_age`, value, app),
  at(
    kind === "xid" ? "pg_settings_autovacuum_freeze_max_age" : "pg_settings_autovacuum_multixact_freeze_max_age",
    kind === "xid" ? 2e8 : 4e8,
  ),
];
const checkpoints = (requested: number, timed: number): readonly CaseSeries[] => [
  at("pg_stat_bgwriter_checkpoints_req_total", 0, own, requested),
  at("pg_stat_bgwriter_checkpoints_timed_total", 0, own, timed),
];

/** Waits for a connection: so many a minute within each bound, cumulative. */
const waitsWithin = (counts: readonly (readonly [le: string, perMinute: number])[]): readonly CaseSeries[] =>
  counts.map(([le, perMinute]) =>
    at("db_client_connection_wait_time_seconds_bucket", 0, { ...own, role: "primary", le }, perMinute),
  );
const everything = {} as const;

/** Every rule and level: a state in which it fires, and the nearest in which it must not. */
export const ruleCases: readonly RuleCase[] = [
  simple("PgDown", "page", "pg_up", 0, 1),
  ruleCase(
    "PgRestarted",
    "info",
    [at("pg_postmaster_start_time_seconds", 0)],
    [at("pg_postmaster_start_time_seconds", -900)],
    2,
  ),
  ruleCase("PgRoleChanged", "warn", [at("pg_replication_is_replica", 0, own, 1)], [primary], 3),
  ruleCase(
    "PgSplitBrain",
    "page",
    [primary, at("pg_replication_is_replica", 0, { server: "replica-1" })],
    [primary, at("pg_replication_is_replica", 1, { server: "replica-1" })],
  ),
  simple("PgPendingRestart", "info", "pg_settings_pending_restart", 1, 0),
  ruleCase(
    "PgChecksumFailure",
    "page",
    [at("pg_stat_database_checksum_failures", 0, app, 1)],
    [at("pg_stat_database_checksum_failures", 3, app)],
  ),
  ruleCase("PgDiskFilling", "page", disk(4), disk(20)),
  ruleCase("PgDiskFilling", "warn", disk(10), disk(20)),
  ruleCase(
    "CollectorFailing",
    "warn",
    [at("pg_scrape_collector_success", 0, { ...own, collector: "tables" }), at("pg_up", 1)],
    // A server that is down is told as that, not once more for each collector.
    [at("pg_scrape_collector_success", 0, { ...own, collector: "tables" }), at("pg_up", 0)],
  ),
  ruleCase("PgConnections", "page", [clients(97), usable], [clients(70), usable]),
  ruleCase("PgConnections", "warn", [clients(85), usable], [clients(70), usable]),
  ruleCase("PoolExhausted", "warn", pool(10, 3), pool(9, 3)),
  simple("PgIdleInTransaction", "page", "pg_stat_activity_max_idle_in_transaction_seconds", 2_000, 200),
  simple("PgIdleInTransaction", "warn", "pg_stat_activity_max_idle_in_transaction_seconds", 400, 200),
  simple("PgLongTransaction", "page", "pg_stat_activity_max_tx_duration", 4_000, 500, {
    ...app,
    backend_type: "client backend",
  }),
  ruleCase(
    "PgLongTransaction",
    "warn",
    [at("pg_stat_activity_max_tx_duration", 700, { ...app, backend_type: "client backend" })],
    [at("pg_stat_activity_max_tx_duration", 700, { ...app, backend_type: "autovacuum worker" })],
  ),
  simple("PgLongQuery", "page", "pg_stat_activity_max_query_seconds", 4_000, 200),
  simple("PgLongQuery", "warn", "pg_stat_activity_max_query_seconds", 400, 200),
  simple("PgLockWait", "page", "pg_stat_activity_max_lock_wait_seconds", 130, 10),
  simple("PgLockWait", "warn", "pg_stat_activity_max_lock_wait_seconds", 40, 10),
  simple("PgBlockedSessions", "warn", "pg_stat_activity_blocked_count", 6, 5),
  ruleCase(
    "PgDeadlocks",
    "warn",
    [at("pg_stat_database_deadlocks", 0, app, 2)],
    [at("pg_stat_database_deadlocks", 9, app)],
  ),
  ruleCase(
    "PgDeadlocks",
    "info",
    [at("pg_stat_database_deadlocks", 0, app, 1)],
    [at("pg_stat_database_deadlocks", 0, app)],
  ),
  ruleCase("PgTooManyLocks", "warn", locks(4_000), locks(1_000)),
  // The same ratio, once with hardly any transactions.
  ruleCase("PgRollbackRatio", "warn", transactions(600, 200), transactions(6, 2)),
  ruleCase(
    "PgFatalSessions",
    "warn",
    [at("pg_stat_database_sessions_fatal", 0, app, 12)],
    [at("pg_stat_database_sessions_fatal", 0, app, 1)],
  ),
  simple("PgPreparedTransaction", "page", "pg_prepared_xacts_max_age_seconds", 4_000, 100),
  simple("PgPreparedTransaction", "warn", "pg_prepared_xacts_max_age_seconds", 400, 100),
  ruleCase("PgReplicationLag", "page", lag(400, 1e9), lag(400, 1e6)),
  ruleCase("PgReplicationLag", "warn", lag(60, 1e9), lag(10, 1e9)),
  ruleCase(
    "PgStandbyDisconnected",
    "page",
    [standby, at("pg_wal_receiver_up", 0)],
    [primary, at("pg_wal_receiver_up", 0)],
  ),
  ruleCase(
    "PgStandbyMissing",
    "page",
    [primary, at("pg_monitor_expected_standbys", 2), at("pg_stat_replication_standbys", 1)],
    [primary, at("pg_monitor_expected_standbys", 2), at("pg_stat_replication_standbys", 2)],
  ),
  ruleCase(
    "PgSlotInactive",
    "warn",
    [primary, at("pg_replication_slots_active", 0, { ...own, slot_name: "s", slot_type: "physical" })],
    [standby, at("pg_replication_slots_active", 0, { ...own, slot_name: "s", slot_type: "physical" })],
  ),
  simple("PgSlotRetainsWal", "warn", "pg_replication_slots_pg_wal_lsn_diff", 2e9, 5e8, { ...own, slot_name: "s" }),
  ruleCase(
    "PgSlotLost",
    "page",
    [at("pg_replication_slots_wal_status", 1, { ...own, slot_name: "s", wal_status: "lost" })],
    [at("pg_replication_slots_wal_status", 1, { ...own, slot_name: "s", wal_status: "reserved" })],
  ),
  simple("PgSubscriptionDown", "page", "pg_stat_subscription_up", 0, 1, { ...own, subname: "s" }),
  ruleCase(
    "PgSubscriptionErrors",
    "page",
    [at("pg_stat_subscription_stats_apply_error_count", 0, { ...own, subname: "s" }, 1)],
    [at("pg_stat_subscription_stats_apply_error_count", 5, { ...own, subname: "s" })],
  ),
  simple("PgArchiveFailing", "page", "pg_stat_archiver_failing", 1, 0),
  simple("PgArchiveBacklog", "page", "pg_wal_archive_ready_files", 300, 5),
  simple("PgArchiveBacklog", "warn", "pg_wal_archive_ready_files", 30, 5),
  ruleCase("PgXidAgeHigh", "warn", age("xid", 3.2e8), age("xid", 1.9e8)),
  simple("PgXidAgeCritical", "page", "pg_database_xid_age", 1.1e9, 8e8, app),
  ruleCase("PgMxidAgeHigh", "warn", age("mxid", 7e8), age("mxid", 3e8)),
  simple("PgMxidAgeCritical", "page", "pg_database_mxid_age", 1.1e9, 8e8, app),
  simple("PgXminHorizonHeld", "warn", "pg_xmin_horizon_age", 2e7, 5e6, { ...own, holder: "slot" }),
  simple("PgVacuumFallingBehind", "warn", "pg_vacuum_trigger_ratio_max", 3, 1.2, app),
  simple("PgSequenceNearlyFull", "page", "pg_sequences_used_ratio_max", 0.95, 0.5, app),
  simple("PgSequenceNearlyFull", "warn", "pg_sequences_used_ratio_max", 0.8, 0.5, app),
  simple("PgInvalidIndex", "warn", "pg_index_invalid", 1, 0, app),
  ruleCase("PgCheckpointsRequested", "warn", checkpoints(1, 0.1), checkpoints(0.1, 1)),
  ruleCase(
    "PgTempFiles",
    "info",
    [at("pg_stat_database_temp_bytes", 0, app, 12e8)],
    [at("pg_stat_database_temp_bytes", 0, app, 1e8)],
  ),
  ruleCase(
    "PgStatementsEvicted",
    "info",
    [at("pg_stat_statements_dealloc_total", 0, own, 1)],
    [at("pg_stat_statements_dealloc_total", 9)],
  ),
  ruleCase("PgTargetAbsent", "page", [{ ...at("pg_up", 1), until: 130 }], [{ ...at("pg_up", 1), until: 147 }]),
  ruleCase("PgConfigChanged", "info", [at("pg_settings_fingerprint", 7, own, 1)], [at("pg_settings_fingerprint", 7)]),
  simple("PgStorageRunsOut", "page", "pg_monitor_forecast_days_left", 0.5, 3, {
    resource: "storage",
    subject: "/data",
  }),
  ruleCase(
    "CollectorStale",
    "warn",
    [
      at("pg_scrape_collector_age_seconds", 300, { ...own, collector: "settings" }),
      at("pg_scrape_collector_interval_seconds", 60, { ...own, collector: "settings" }),
      at("pg_up", 1),
    ],
    [
      at("pg_scrape_collector_age_seconds", 300, { ...own, collector: "settings" }),
      at("pg_scrape_collector_interval_seconds", 600, { ...own, collector: "settings" }),
      at("pg_up", 1),
    ],
  ),
  ruleCase(
    "PgSlotNearlyLost",
    "page",
    [
      at("pg_replication_slots_safe_wal_size_bytes", 1e8, { ...own, slot_name: "s", slot_type: "physical" }),
      at("pg_settings_max_slot_wal_keep_size_bytes", 1e9),
    ],
    [
      at("pg_replication_slots_safe_wal_size_bytes", 9e8, { ...own, slot_name: "s", slot_type: "physical" }),
      at("pg_settings_max_slot_wal_keep_size_bytes", 1e9),
    ],
  ),
  simple("PgQueryRegression", "warn", "pg_query_regression_ratio", 4, 1.5, { ...app, user: "u", queryid: "7" }),
  ruleCase(
    "PoolWaitSlow",
    "warn",
    waitsWithin([
      ["0.1", 90],
      ["1", 100],
      ["+Inf", 100],
    ]),
    waitsWithin([
      ["0.1", 99],
      ["1", 100],
      ["+Inf", 100],
    ]),
  ),
  // Time runs from 0: a backup of then is as old as the clock says.
  ruleCase(
    "BackupTooOld",
    "page",
    [at("db_backup_last_success_timestamp_seconds", -180_000, everything)],
    [at("db_backup_last_success_timestamp_seconds", 0, everything)],
  ),
  ruleCase(
    "BackupTooOld",
    "warn",
    [at("db_backup_last_success_timestamp_seconds", -100_000, everything)],
    [at("db_backup_last_success_timestamp_seconds", 0, everything)],
  ),
  ...(
    [
      ["BackupFailed", "warn", "db_backup_runs_total", { result: "failed" }],
      ["BackupVerifyFailed", "page", "db_backup_verifications_total", { result: "faulty" }],
      ["WalGap", "page", "db_backup_wal_gaps_total", {}],
      ["MigrationFailed", "page", "db_migrate_failed_total", { direction: "up" }],
    ] as const
  ).map(([rule, severity, metric, labels]) =>
    ruleCase(rule, severity, [at(metric, 0, labels, 0.1)], [at(metric, 3, labels)]),
  ),
  simple("BackupSuspect", "page", "db_backup_suspect", 1, 0, everything),
  simple("MigrationPending", "info", "db_migrate_pending", 2, 0, everything),
  ruleCase(
    "MigrationLockHeld",
    "warn",
    [at("db_migrate_lock_retries_total", 0, everything, 1)],
    [at("db_migrate_lock_retries_total", 0, everything, 0.2)],
  ),
  ruleCase(
    "ValidationScoreDropped",
    "warn",
    [at("db_validation_score_ratio", 1, everything, -0.002)],
    [at("db_validation_score_ratio", 0.7, everything)],
  ),
];
