import { samplesOf, type Snapshot, valueOf } from "../snapshot.ts";

/** The topology as its servers tell it. Bytes are of WAL, times are seconds. */
export interface ReplicationView {
  readonly servers: readonly ReplicationServer[];
  /** Standbys as the server that feeds them sees them. */
  readonly standbys: readonly ReplicationStandby[];
  readonly slots: readonly ReplicationSlot[];
  readonly archivers: readonly Archiver[];
}

export interface ReplicationServer {
  readonly server: string;
  readonly role: "primary" | "standby" | "unknown";
  readonly up: boolean;
  /** On a standby: whether WAL streams in. `null` on a primary. */
  readonly receiverUp: boolean | null;
  readonly replayBacklogBytes: number | null;
  readonly lastMessageAgeSeconds: number | null;
  /** Age of the last transaction replayed; grows while the primary is idle. */
  readonly lastReplayAgeSeconds: number | null;
}

export interface ReplicationStandby {
  readonly server: string;
  readonly name: string;
  readonly state: string;
  readonly lagSeconds: number;
  readonly lagBytes: number;
  readonly sync: "async" | "potential" | "sync" | "quorum";
  readonly slot: string;
}

export interface ReplicationSlot {
  readonly server: string;
  readonly name: string;
  readonly active: boolean;
  readonly retainedBytes: number | null;
  /** WAL that may still be written before the slot is lost; `null` without a limit. */
  readonly safeBytes: number | null;
  /** `reserved`, `extended`, `unreserved`, `lost`; `null` before PostgreSQL 13. */
  readonly walStatus: string | null;
}

export interface Archiver {
  readonly server: string;
  readonly archived: number;
  readonly failed: number;
  readonly failing: boolean;
  readonly waitingFiles: number | null;
}

const syncStates = ["async", "potential", "sync", "quorum"] as const;

export function replication(snapshot: Snapshot): ReplicationView {
  const value = (metric: string, where: Readonly<Record<string, string>>): number | null =>
    valueOf(snapshot, metric, where) ?? null;
  return {
    servers: snapshot.servers.map(({ name, role, up }) => {
      const receiver = value("pg_wal_receiver_up", { server: name });
      return {
        server: name,
        role,
        up,
        receiverUp: receiver === null ? null : receiver === 1,
        replayBacklogBytes: value("pg_replication_replay_delay_bytes", { server: name }),
        lastMessageAgeSeconds: value("pg_replication_last_msg_age_seconds", { server: name }),
        lastReplayAgeSeconds: role === "standby" ? value("pg_replication_last_replay_seconds", { server: name }) : null,
      };
    }),
    standbys: samplesOf(snapshot, "pg_stat_replication_pg_wal_lsn_diff").map(({ labels, value: lagBytes }) => {
      const where = { server: labels["server"] ?? "", pid: labels["pid"] ?? "" };
      return {
        server: where.server,
        name: labels["application_name"] ?? "",
        state: labels["state"] ?? "",
        lagSeconds: value("pg_stat_replication_replay_lag_seconds", where) ?? 0,
        lagBytes,
        sync: syncStates[value("pg_stat_replication_sync_state", where) ?? 0] ?? "async",
        slot: labels["slot_name"] ?? "",
      };
    }),
    slots: samplesOf(snapshot, "pg_replication_slots_active").map(({ labels, value: active }) => {
      const where = { server: labels["server"] ?? "", slot_name: labels["slot_name"] ?? "" };
      const status = samplesOf(snapshot, "pg_replication_slots_wal_status").find(
        (sample) => sample.labels["server"] === where.server && sample.labels["slot_name"] === where.slot_name,
      );
      return {
        server: where.server,
        name: where.slot_name,
        active: active === 1,
        retainedBytes: value("pg_replication_slots_pg_wal_lsn_diff", where),
        safeBytes: value("pg_replication_slots_safe_wal_size_bytes", where),
        walStatus: status?.labels["wal_status"] ?? null,
      };
    }),
    archivers: samplesOf(snapshot, "pg_stat_archiver_archived_count").map(({ labels, value: archived }) => {
      const where = { server: labels["server"] ?? "" };
      return {
        server: where.server,
        archived,
        failed: value("pg_stat_archiver_failed_count", where) ?? 0,
        failing: value("pg_stat_archiver_failing", where) === 1,
        waitingFiles: value("pg_wal_archive_ready_files", where),
      };
    }),
  };
}
