import type { Compression } from "./repository/sealed-object.ts";

/** Full: everything. Differential: what changed since the last full. Incremental: since the last backup. */
export type BackupType = "full" | "differential" | "incremental";

/**
 * Complete: all files match what the server sent and all WAL it needs is stored. Suspect: the same, but the server
 * found broken page checksums in its own files while sending them.
 */
export type BackupStatus = "complete" | "suspect";

/** A tablespace outside the data directory. */
export interface BackupTablespace {
  readonly oid: string;
  /** Its directory on the server. */
  readonly location: string;
}

/** One stored object of a backup. */
export interface ManifestObject {
  /** Relative to the backup's folder. */
  readonly name: string;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** SHA-256 at the object's end, of everything stored before it. */
  readonly sha256: string;
}

/** One archive as the server compressed it. */
export interface StoredArchive {
  /** How many packs it takes. */
  readonly packs: number;
  /** Its length, unpacked. */
  readonly plainBytes: number;
}

/** One WAL segment stored with its backup. */
export interface ManifestWalSegment {
  readonly segment: string;
  /** True when the server had not finished the segment and its rest is zeros here. */
  readonly padded: boolean;
}

/**
 * A wish that a backup stays. `keep`: retention leaves it and counts as if it were not there. `hold`: the same, and
 * nothing removes it before it is released by name, a plan made earlier included.
 */
export interface BackupMark {
  readonly kind: "keep" | "hold";
  /** ISO 8601; null for good. A hold has no end. */
  readonly until: string | null;
  readonly reason: string;
  readonly markedAt: string;
}

/** A backup for lists and reports. Times are ISO 8601, LSNs as PostgreSQL writes them, sizes bytes. */
export interface BackupInfo {
  /** `20261110-030000F`, or `20261110-030000F_20261111-030000I` for a backup that needs it. */
  readonly label: string;
  readonly type: BackupType;
  /** The label of the backup this one needs; null for a full backup. */
  readonly parent: string | null;
  readonly status: BackupStatus;
  /** The cluster's 64-bit identity, in decimal. */
  readonly systemIdentifier: string;
  /** `180004` is 18.4. */
  readonly serverVersion: number;
  readonly startedAt: string;
  /** Nothing earlier than this can be restored from this backup. */
  readonly stoppedAt: string;
  readonly startLsn: string;
  readonly stopLsn: string;
  readonly timeline: number;
  readonly fromStandby: boolean;
  readonly encrypted: boolean;
  readonly files: number;
  /** As the server has them. */
  readonly bytes: number;
  /** As the repository has them, WAL included. */
  readonly storedBytes: number;
  readonly tablespaces: readonly BackupTablespace[];
  readonly databases: readonly string[];
  /** When it was last read back whole without a fault; null when never. */
  readonly verifiedAt: string | null;
  /** Present when somebody marked it. */
  readonly mark?: BackupMark;
}

/** The commit record of a backup, written last: everything a restore trusts. */
export interface BackupManifest extends Omit<BackupInfo, "encrypted" | "verifiedAt"> {
  readonly format: "db-backup/1";
  readonly walSegmentBytes: number;
  /** Whether the cluster has page checksums, and what the server complained about. */
  readonly pageChecksums: boolean;
  readonly checksumErrors: readonly string[];
  /** Null where the repository is plain. */
  readonly dataKeyId: string | null;
  readonly compression: Compression;
  readonly packBytes: number;
  readonly packs: readonly ManifestObject[];
  /**
   * The server's archives, where it compressed them itself: the packs hold one compressed stream each, and the places
   * of the file index are those in the archives, unpacked, one after the other. Empty where the packs hold the files.
   */
  readonly archives: readonly StoredArchive[];
  /** The file index, the server's own manifest (13 and newer), the configuration, the WAL. */
  readonly objects: readonly ManifestObject[];
  readonly wal: readonly ManifestWalSegment[];
}

/** One entry of the file index: where it is in the run of packed bytes. */
export interface FileEntry {
  /** Relative to the data directory; a tablespace's files lie under `pg_tblspc/<oid>/`. */
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  readonly sizeBytes: number;
  readonly position: number;
  readonly crc32c: string;
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Where a link points. */
  readonly target: string;
}

/** The shape for lists, from the commit record. */
export function backupInfo(manifest: BackupManifest, verifiedAt: string | null, mark?: BackupMark): BackupInfo {
  return {
    ...(mark ? { mark } : {}),
    label: manifest.label,
    type: manifest.type,
    parent: manifest.parent,
    status: manifest.status,
    systemIdentifier: manifest.systemIdentifier,
    serverVersion: manifest.serverVersion,
    startedAt: manifest.startedAt,
    stoppedAt: manifest.stoppedAt,
    startLsn: manifest.startLsn,
    stopLsn: manifest.stopLsn,
    timeline: manifest.timeline,
    fromStandby: manifest.fromStandby,
    encrypted: manifest.dataKeyId !== null,
    files: manifest.files,
    bytes: manifest.bytes,
    storedBytes: manifest.storedBytes,
    tablespaces: manifest.tablespaces,
    databases: manifest.databases,
    verifiedAt,
  };
}

/** A server version number for people: `180004` is `18.4`. */
export function formatServerVersion(version: number): string {
  return `${Math.floor(version / 10_000)}.${version % 10_000}`;
}
