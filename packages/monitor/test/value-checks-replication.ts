import { age, columnsOf, since, type ValueCheck } from "./value-check.ts";

export function replicationChecks(version: number): readonly ValueCheck[] {
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
