import { type HealthCheck, isDbError, type ServiceHealth, worstStatus } from "@db/core";
import { ReplicationRefusedError } from "../errors.ts";
import type { WalGap } from "./listing.ts";

/** What a receiver is doing. LSNs as PostgreSQL writes them, times ISO 8601; null where not known yet. */
export interface WalReceiverStatus {
  readonly state: "stopped" | "connecting" | "streaming" | "waiting" | "failed";
  readonly systemIdentifier: string | null;
  readonly slot: string;
  readonly timeline: number | null;
  readonly receivedLsn: string | null;
  /** Everything before it is in the repository, the tail of the unfinished segment included; the server is told it. */
  readonly durableLsn: string | null;
  /** Bytes the server has written and the repository has not. */
  readonly lagBytes: number | null;
  /** What a server lost now would take along, measured by its own clock. */
  readonly coveredUntil: string | null;
  readonly spoolBytes: number;
  readonly waitingSegments: number;
  readonly reconnects: number;
  readonly gaps: readonly WalGap[];
  /** What was wrong last, healed or not. */
  readonly lastError: string | null;
  /** Why the repository does not take WAL now; null while it does. */
  readonly repositoryError: string | null;
}

/** A receiver's state as health checks. @param now milliseconds since the epoch */
export function receiverHealth(
  { state, lagBytes, waitingSegments, gaps, repositoryError }: WalReceiverStatus,
  now: number,
): ServiceHealth {
  const time = new Date(now).toISOString();
  const states = { streaming: "pass", connecting: "warn", waiting: "warn", stopped: "fail", failed: "fail" } as const;
  const checks: HealthCheck[] = [
    { name: "wal-receiver:state", status: states[state], observedValue: state, time },
    { name: "wal-receiver:gaps", status: gaps.length > 0 ? "fail" : "pass", observedValue: gaps.length, time },
    {
      name: "wal-receiver:repository",
      status: repositoryError === null ? "pass" : "fail",
      observedValue: repositoryError ?? "ok",
      time,
    },
    {
      name: "wal-receiver:lag",
      status: waitingSegments > 8 ? "warn" : "pass",
      observedValue: lagBytes ?? 0,
      observedUnit: "bytes",
      time,
    },
  ];
  return { status: worstStatus(checks.map(({ status }) => status)), checks };
}

const fatalCodes = [
  "BACKUP_CLUSTER_CHANGED",
  "BACKUP_WAL_CONFLICT",
  "BACKUP_WAL_REJECTED",
  "BACKUP_MISSING_KEY",
  "BACKUP_WRONG_KEY",
  "BACKUP_CORRUPT",
  "BACKUP_INVALID_OPTIONS",
  "BACKUP_UNSUPPORTED_SERVER",
] as const;

/** What no waiting heals; a refusal only before anything streamed, since a later one may be a server starting. */
export function isFatal(error: unknown, everStreamed: boolean): boolean {
  if (!everStreamed && error instanceof ReplicationRefusedError) return error.reason !== "wal_senders";
  return fatalCodes.some((code) => isDbError(error, code));
}
