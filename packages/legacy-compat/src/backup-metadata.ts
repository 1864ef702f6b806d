import type { BackupInfo, BackupReport } from "@db/orchestrator";

/** A backup as the old names described it. Sizes are bytes. */
export interface BackupMetadata {
  /** Label in the repository. */
  readonly id: string;
  readonly type: "full" | "incremental" | "differential";
  readonly timestamp: Date;
  /** As stored. */
  readonly size: number;
  /** As the server has it. */
  readonly originalSize: number;
  readonly compressed: boolean;
  readonly encrypted: boolean;
  readonly status: "completed" | "completed_with_warnings";
  /** Milliseconds; 0 for a backup that was only listed. */
  readonly duration: number;
  /** The repository. */
  readonly location: string;
}

export function backupMetadata(info: BackupInfo | BackupReport, location: string): BackupMetadata {
  return {
    id: info.label,
    type: info.type,
    timestamp: new Date(info.stoppedAt),
    size: info.storedBytes,
    originalSize: info.bytes,
    compressed: info.storedBytes < info.bytes,
    encrypted: info.encrypted,
    status: info.status === "complete" ? "completed" : "completed_with_warnings",
    duration: "durationMs" in info ? info.durationMs : 0,
    location,
  };
}
