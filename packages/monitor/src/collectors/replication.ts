import { type Collector, counter, defineView, gauge } from "../collector.ts";

/** The WAL position this server has reached: written on a primary, received on a standby. */
const position = `case when pg_catalog.pg_is_in_recovery()
    then coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
    else pg_catalog.pg_current_wal_lsn() end`;

const behind = (lsn: string): string => `pg_catalog.pg_wal_lsn_diff(${position}, ${lsn})`;
const decimal = (lsn: string): string => `pg_catalog.pg_wal_lsn_diff(${lsn}, '0/0')`;
const lag = (column: string): string => `coalesce(extract(epoch from r.${column}), 0)`;

/** Standbys as the server that feeds them sees them, standbys as they see themselves, slots, subscriptions. */
export const replicationCollectors: readonly Collector[] = [
  defineView({
    name: "stat_replication",
    tier: "T0",
    labels: {
      application_name: "r.application_name",
      client_addr: "host(r.client_addr)",
      state: "r.state",
      slot_name: "s.slot_name",
      pid: "r.pid",
    },
    from: `pg_catalog.pg_stat_replication r left join pg_catalog.pg_replication_slots s on s.active_pid = r.pid`,
    columns: [
      gauge("pg_stat_replication_pg_current_wal_lsn_bytes", decimal(position), "WAL position of this server, in bytes"),
      gauge(
        "pg_stat_replication_pg_wal_lsn_diff",
        behind("r.replay_lsn"),
        "WAL the standby has yet to replay, in bytes",
      ),
      gauge("pg_stat_replication_write_lag_seconds", lag("write_lag"), "Time until the standby wrote recent WAL"),
      gauge("pg_stat_replication_flush_lag_seconds", lag("flush_lag"), "Time until the standby flushed recent WAL"),
      gauge("pg_stat_replication_replay_lag_seconds", lag("replay_lag"), "Time until the standby replayed recent WAL"),
      gauge(
        "pg_stat_replication_sync_state",
        "case r.sync_state when 'async' then 0 when 'potential' then 1 when 'sync' then 2 when 'quorum' then 3 end",
        "0 asynchronous, 1 potentially synchronous, 2 synchronous, 3 part of a quorum",
      ),
    ],
  }),
  defineView({
    name: "replication",
    tier: "T0",
    labels: {},
    from: "(select 1) as one",
    columns: [
      gauge(
        "pg_replication_lag_seconds",
        `case when not pg_catalog.pg_is_in_recovery() then 0
              when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
              else greatest(0, extract(epoch from clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())) end`,
        "Replay lag as older dashboards know it: 0 on a standby that is cut off, so never alert on it alone",
      ),
      gauge(
        "pg_replication_last_replay_seconds",
        "greatest(0, extract(epoch from clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()))",
        "Age of the last transaction replayed; grows on an idle primary too",
      ),
      gauge(
        "pg_stat_replication_standbys",
        "(select count(*) from pg_catalog.pg_stat_replication r where r.state in ('streaming', 'catchup'))",
        "Standbys connected to this server",
      ),
    ],
  }),
  defineView({
    name: "wal_receiver",
    tier: "T0",
    scope: "standby",
    labels: {},
    from: "(select 1) as one left join pg_catalog.pg_stat_wal_receiver w on true",
    columns: [
      gauge("pg_wal_receiver_up", "coalesce((w.status = 'streaming')::int, 0)", "1 while WAL streams in"),
      gauge(
        "pg_replication_last_msg_age_seconds",
        "greatest(0, extract(epoch from clock_timestamp() - w.last_msg_receipt_time))",
        "Time since the sender last said anything",
      ),
      gauge(
        "pg_replication_replay_delay_bytes",
        `pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())`,
        "WAL received and not yet replayed, in bytes",
      ),
      gauge(
        "pg_replication_replay_paused",
        "pg_catalog.pg_is_wal_replay_paused()::int",
        "1 while somebody has paused replay",
      ),
    ],
  }),
  defineView({
    name: "replication_slots",
    tier: "T0",
    labels: { slot_name: "s.slot_name", database: "s.database" },
    from: "pg_catalog.pg_replication_slots s",
    columns: [
      gauge("pg_replication_slots_active", "s.active::int", "1 while a consumer is connected"),
      gauge("pg_replication_slots_pg_wal_lsn_diff", behind("s.restart_lsn"), "WAL the slot retains, in bytes"),
      gauge(
        "pg_replication_slots_inactive_seconds",
        "greatest(0, extract(epoch from clock_timestamp() - s.inactive_since))",
        "Time since the slot's consumer left",
        { since: 17 },
      ),
      gauge(
        "pg_replication_slots_invalidated",
        "(s.invalidation_reason is not null)::int",
        "1 when the slot can no longer be used",
        { since: 17 },
      ),
    ],
  }),
  defineView({
    name: "replication_slots_detail",
    tier: "T0",
    labels: { slot_name: "s.slot_name", slot_type: "s.slot_type" },
    from: "pg_catalog.pg_replication_slots s",
    columns: [
      gauge("pg_replication_slots_slot_current_wal_lsn", decimal(position), "WAL position of this server, in bytes"),
      gauge(
        "pg_replication_slots_slot_confirmed_flush_lsn",
        "coalesce(pg_catalog.pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0'), 0)",
        "Position the consumer confirmed, in bytes",
      ),
      gauge("pg_replication_slots_slot_is_active", "s.active::int", "1 while a consumer is connected", {
        aliasOf: "pg_replication_slots_active",
      }),
      gauge(
        "pg_replication_slots_safe_wal_size_bytes",
        "s.safe_wal_size",
        "WAL that may be written before it is lost",
        {
          since: 13,
        },
      ),
    ],
  }),
  defineView({
    name: "replication_slots_status",
    tier: "T0",
    since: 13,
    labels: { slot_name: "s.slot_name", slot_type: "s.slot_type", wal_status: "s.wal_status" },
    from: "pg_catalog.pg_replication_slots s",
    columns: [gauge("pg_replication_slots_wal_status", "1", "Whether the WAL a slot needs is still there (label)")],
  }),
  defineView({
    name: "stat_replication_slots",
    tier: "T1",
    since: 14,
    labels: { slot_name: "s.slot_name" },
    from: "pg_catalog.pg_stat_replication_slots s",
    columns: [
      counter(
        "pg_stat_replication_slots_spill_bytes_total",
        "s.spill_bytes",
        "Bytes of decoded changes spilled to disk",
      ),
      counter("pg_stat_replication_slots_stream_bytes_total", "s.stream_bytes", "Bytes of changes streamed while open"),
      counter("pg_stat_replication_slots_total_bytes_total", "s.total_bytes", "Bytes of changes decoded"),
    ],
  }),
  defineView({
    name: "subscription",
    tier: "T1",
    labels: { subname: "s.subname" },
    from: "pg_catalog.pg_stat_subscription s where s.relid is null",
    columns: [
      gauge("pg_stat_subscription_up", "(s.pid is not null)::int", "1 while the subscription's worker runs"),
      gauge(
        "pg_stat_subscription_last_msg_age_seconds",
        "greatest(0, extract(epoch from clock_timestamp() - s.last_msg_receipt_time))",
        "Time since the publisher last said anything",
      ),
    ],
  }),
  defineView({
    name: "subscription_stats",
    tier: "T1",
    since: 15,
    labels: { subname: "s.subname" },
    from: "pg_catalog.pg_stat_subscription_stats s",
    columns: [
      counter("pg_stat_subscription_stats_apply_error_count", "s.apply_error_count", "Errors while applying changes"),
      counter("pg_stat_subscription_stats_sync_error_count", "s.sync_error_count", "Errors while copying tables"),
    ],
  }),
];
