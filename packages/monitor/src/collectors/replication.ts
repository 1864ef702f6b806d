import {
  type Collector,
  columnsOf,
  counter,
  defineMetrics,
  defineView,
  gauge,
  type MetricColumn,
} from "../collector.ts";
import type { Source } from "../live.ts";
import { readDatabases, readSenders, readSlots, type Sender, type Slot } from "./live.ts";

type Of<Thing> = Omit<MetricColumn, "sql"> & { readonly of: (thing: Thing) => number | null };

function column<Thing>(
  name: string,
  help: string,
  of: Of<Thing>["of"],
  versions: Pick<MetricColumn, "since" | "aliasOf"> = {},
): Of<Thing> {
  return { name, type: "gauge", help, of, ...versions };
}

/** What is made of one source or of two. */
interface LiveThings<Thing> {
  readonly of: readonly Pick<Source<unknown>, "textOn">[];
  readonly read: Source<readonly Thing[]>["read"];
}

/** A collector of things that others look at too. */
function ofThings<Thing>(options: {
  readonly name: string;
  readonly since?: number;
  readonly labels: Readonly<Record<string, (thing: Thing) => string>>;
  readonly things: LiveThings<Thing>;
  readonly columns: readonly Of<Thing>[];
}): Collector {
  const { name, since = 12, things } = options;
  const labelNames = Object.keys(options.labels);
  const labels = Object.values(options.labels);
  return {
    name,
    tier: "T0",
    per: "server",
    scope: "any",
    since,
    metrics: defineMetrics(options.columns, { name, tier: "T0", since }, labelNames),
    begin: () => {
      let shape: { readonly version: number; readonly columns: readonly Of<Thing>[]; readonly metrics: string[] };
      return {
        asks: (version) => things.of.map(({ textOn }) => textOn(version)),
        make: (rowsOf, { version }) => {
          if (shape?.version !== version) {
            const columns = columnsOf(options.columns, version);
            shape = { version, columns, metrics: columns.map((each) => each.name) };
          }
          const { columns, metrics } = shape;
          const rows = things.read(rowsOf, version).map((thing) => ({
            labels: labels.map((label) => label(thing)),
            values: columns.map(({ of }) => of(thing)),
          }));
          return { tables: [{ labelNames, metrics, rows }] };
        },
      };
    },
  };
}

interface SlotOfDatabase extends Slot {
  readonly database: string;
}

const slotsOfDatabases: LiveThings<SlotOfDatabase> = {
  of: [readSlots, readDatabases],
  read: (rowsOf, version) => {
    const databases = readDatabases.read(rowsOf, version);
    return readSlots
      .read(rowsOf, version)
      .map((slot) => ({ ...slot, database: databases.get(slot.databaseOid) ?? "" }));
  },
};

interface SenderOnSlot extends Sender {
  readonly slot: string;
}

const sendersOnSlots: LiveThings<SenderOnSlot> = {
  of: [readSenders, readSlots],
  read: (rowsOf, version) => {
    const slots = readSlots.read(rowsOf, version);
    return readSenders.read(rowsOf, version).map((sender) => ({
      ...sender,
      slot: slots.find(({ activePid }) => activePid === sender.pid)?.name ?? "",
    }));
  },
};

const slots: LiveThings<Slot> = { of: [readSlots], read: readSlots.read };

const slotLabels = { slot_name: (slot: Slot) => slot.name, slot_type: (slot: Slot) => slot.type };

/** Standbys as the server that feeds them sees them, standbys as they see themselves, slots, subscriptions. */
export const replicationCollectors: readonly Collector[] = [
  ofThings<SenderOnSlot>({
    name: "stat_replication",
    labels: {
      application_name: ({ application }) => application,
      client_addr: ({ address }) => address,
      state: ({ state }) => state,
      slot_name: ({ slot }) => slot,
      pid: ({ pid }) => String(pid),
    },
    things: sendersOnSlots,
    columns: [
      column(
        "pg_stat_replication_pg_current_wal_lsn_bytes",
        "WAL position of this server, in bytes",
        ({ currentLsn }) => currentLsn,
      ),
      column(
        "pg_stat_replication_pg_wal_lsn_diff",
        "WAL the standby has yet to replay, in bytes",
        ({ behindBytes }) => behindBytes,
      ),
      column(
        "pg_stat_replication_write_lag_seconds",
        "Time until the standby wrote recent WAL",
        ({ writeLagSeconds }) => writeLagSeconds,
      ),
      column(
        "pg_stat_replication_flush_lag_seconds",
        "Time until the standby flushed recent WAL",
        ({ flushLagSeconds }) => flushLagSeconds,
      ),
      column(
        "pg_stat_replication_replay_lag_seconds",
        "Time until the standby replayed recent WAL",
        ({ replayLagSeconds }) => replayLagSeconds,
      ),
      column(
        "pg_stat_replication_sync_state",
        "0 asynchronous, 1 potentially synchronous, 2 synchronous, 3 part of a quorum",
        ({ sync }) => sync,
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
        "(select count(*) from pg_catalog.pg_stat_get_wal_senders() r where r.state in ('streaming', 'catchup'))",
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
  ofThings<SlotOfDatabase>({
    name: "replication_slots",
    labels: { slot_name: ({ name }) => name, database: ({ database }) => database },
    things: slotsOfDatabases,
    columns: [
      column("pg_replication_slots_active", "1 while a consumer is connected", ({ active }) => active),
      column(
        "pg_replication_slots_pg_wal_lsn_diff",
        "WAL the slot retains, in bytes",
        ({ retainedBytes }) => retainedBytes,
      ),
      column(
        "pg_replication_slots_inactive_seconds",
        "Time since the slot's consumer left",
        ({ inactiveSeconds }) => inactiveSeconds,
        { since: 17 },
      ),
      column(
        "pg_replication_slots_invalidated",
        "1 when the slot can no longer be used",
        ({ invalidated }) => invalidated,
        { since: 17 },
      ),
    ],
  }),
  ofThings<Slot>({
    name: "replication_slots_detail",
    labels: slotLabels,
    things: slots,
    columns: [
      column(
        "pg_replication_slots_slot_current_wal_lsn",
        "WAL position of this server, in bytes",
        ({ currentLsn }) => currentLsn,
      ),
      column(
        "pg_replication_slots_slot_confirmed_flush_lsn",
        "Position the consumer confirmed, in bytes",
        ({ confirmedLsn }) => confirmedLsn,
      ),
      column("pg_replication_slots_slot_is_active", "1 while a consumer is connected", ({ active }) => active, {
        aliasOf: "pg_replication_slots_active",
      }),
      column(
        "pg_replication_slots_safe_wal_size_bytes",
        "WAL that may be written before it is lost",
        ({ safeBytes }) => safeBytes,
        { since: 13 },
      ),
    ],
  }),
  ofThings<Slot>({
    name: "replication_slots_status",
    since: 13,
    labels: { ...slotLabels, wal_status: ({ walStatus }) => walStatus },
    things: slots,
    columns: [
      column("pg_replication_slots_wal_status", "Whether the WAL a slot needs is still there (label)", () => 1),
    ],
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
