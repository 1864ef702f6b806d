// What several collectors look at on every scrape, read once for all of them. Straight from the functions behind the
// views: a view joins names to every row, which are few and the same for all.
import { toNumber, viewText } from "../collector.ts";
import { type Source, source } from "../live.ts";
import { freeText, rowsSql } from "../rows.ts";
import { databaseView } from "./database.ts";

/** Names of databases by their oid, as text; not that of the shared objects, which is 0. */
export const readDatabases: Source<ReadonlyMap<string, string>> = source(
  (version) => viewText(databaseView, version),
  (rows) => {
    const names = new Map<string, string>();
    for (const [oid = "", name = ""] of rows) if (oid !== "0") names.set(oid, name);
    return names;
  },
);

/** Seconds since a moment, as SQL. */
export const seconds = (since: string): string => `pg_catalog.date_part('epoch', clock_timestamp() - ${since})`;

/** A slot, whatever a server of its version knows of it. */
export interface Slot {
  readonly name: string;
  /** Empty for a physical one. */
  readonly databaseOid: string;
  readonly type: string;
  readonly active: number;
  readonly activePid: number | null;
  readonly retainedBytes: number | null;
  readonly currentLsn: number | null;
  readonly confirmedLsn: number | null;
  readonly xminAge: number | null;
  readonly walStatus: string;
  readonly safeBytes: number | null;
  readonly inactiveSeconds: number | null;
  readonly invalidated: number | null;
}

/** The WAL position this server has reached: written on a primary, received on a standby. */
const position = `case when pg_catalog.pg_is_in_recovery()
    then coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
    else pg_catalog.pg_current_wal_lsn() end`;
const behind = (lsn: string): string => `pg_catalog.pg_wal_lsn_diff(${position}, ${lsn})`;
const decimal = (lsn: string): string => `pg_catalog.pg_wal_lsn_diff(${lsn}, '0/0')`;

const slotsSql = (version: number): string =>
  rowsSql(
    [
      "s.slot_name",
      "s.datoid",
      "s.slot_type",
      "s.active::int",
      "s.active_pid",
      behind("s.restart_lsn"),
      decimal(position),
      `coalesce(${decimal("s.confirmed_flush_lsn")}, 0)`,
      "greatest(age(s.xmin), age(s.catalog_xmin))",
      ...(version >= 13 ? ["s.wal_status", "s.safe_wal_size"] : ["null", "null"]),
      ...(version >= 17
        ? [`greatest(0, ${seconds("s.inactive_since")})`, "(s.invalidation_reason is not null)::int"]
        : ["null", "null"]),
    ],
    "from pg_catalog.pg_get_replication_slots() s",
  );

export const readSlots: Source<readonly Slot[]> = source(slotsSql, (rows) =>
  rows.map((row) => ({
    name: row[0]!,
    databaseOid: row[1]!,
    type: row[2]!,
    active: Number(row[3]),
    activePid: toNumber(row[4]),
    retainedBytes: toNumber(row[5]),
    currentLsn: toNumber(row[6]),
    confirmedLsn: toNumber(row[7]),
    xminAge: toNumber(row[8]),
    walStatus: row[9]!,
    safeBytes: toNumber(row[10]),
    inactiveSeconds: toNumber(row[11]),
    invalidated: toNumber(row[12]),
  })),
);

/** A standby, or whoever else WAL is sent to. */
export interface Sender {
  readonly pid: number;
  readonly application: string;
  readonly address: string;
  readonly state: string;
  readonly currentLsn: number | null;
  readonly behindBytes: number | null;
  readonly writeLagSeconds: number | null;
  readonly flushLagSeconds: number | null;
  readonly replayLagSeconds: number | null;
  readonly sync: number | null;
  readonly xminAge: number | null;
}

const lag = (column: string): string => `coalesce(pg_catalog.date_part('epoch', w.${column}), 0)`;

// Sessions are looked at for each sender there is, and mostly there is none.
const sendersSql = rowsSql(
  [
    "w.pid",
    freeText("s.application_name"),
    "host(s.client_addr)",
    "w.state",
    decimal(position),
    behind("w.replay_lsn"),
    lag("write_lag"),
    lag("flush_lag"),
    lag("replay_lag"),
    "case w.sync_state when 'async' then 0 when 'potential' then 1 when 'sync' then 2 when 'quorum' then 3 end",
    "age(s.backend_xmin)",
  ],
  "from pg_catalog.pg_stat_get_wal_senders() w cross join lateral pg_catalog.pg_stat_get_activity(w.pid) s",
);

export const readSenders: Source<readonly Sender[]> = source(
  () => sendersSql,
  (rows) =>
    rows.map((row) => ({
      pid: Number(row[0]),
      application: row[1]!,
      address: row[2]!,
      state: row[3]!,
      currentLsn: toNumber(row[4]),
      behindBytes: toNumber(row[5]),
      writeLagSeconds: toNumber(row[6]),
      flushLagSeconds: toNumber(row[7]),
      replayLagSeconds: toNumber(row[8]),
      sync: toNumber(row[9]),
      xminAge: toNumber(row[10]),
    })),
);
