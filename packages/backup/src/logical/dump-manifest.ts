import type { BackupMark, ManifestObject } from "../manifest.ts";
import type { Compression } from "../repository/sealed-object.ts";

/** A dump for lists and reports. Times are ISO 8601, sizes bytes. */
export interface DumpInfo {
  /** `20261110-030000L`. */
  readonly label: string;
  /** The cluster's 64-bit identity in decimal; where the server does not tell it, a number made of its address. */
  readonly systemIdentifier: string;
  readonly database: string;
  /** `180004` is 18.4. */
  readonly serverVersion: number;
  /** Major version of the pg_dump that wrote it: pg_restore must be at least as new. */
  readonly clientMajor: number;
  /** The data are as they were at this moment: one snapshot, whatever was written meanwhile. */
  readonly startedAt: string;
  readonly stoppedAt: string;
  readonly encrypted: boolean;
  /** Files pg_dump wrote; their size; and their size in the repository. */
  readonly files: number;
  readonly bytes: number;
  readonly storedBytes: number;
  /** Roles that own something in it or were granted something. A dump holds no roles. */
  readonly roles: readonly string[];
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly verifiedAt: string | null;
  readonly mark?: BackupMark;
}

/** The commit record of a dump, written last. */
export interface DumpManifest extends Omit<DumpInfo, "encrypted" | "verifiedAt" | "mark"> {
  readonly format: "db-dump/1";
  readonly dataKeyId: string | null;
  readonly compression: Compression;
  readonly packs: readonly ManifestObject[];
  /** Always empty: the files themselves are packed. */
  readonly archives: readonly [];
  /** The file index. */
  readonly objects: readonly ManifestObject[];
}

/** The shape for lists, from the commit record. */
export function dumpInfo(manifest: DumpManifest, verifiedAt: string | null, mark?: BackupMark): DumpInfo {
  const {
    format: _format,
    dataKeyId,
    compression: _compression,
    packs: _packs,
    archives: _archives,
    objects: _objects,
    ...info
  } = manifest;
  return { ...info, encrypted: dataKeyId !== null, verifiedAt, ...(mark ? { mark } : {}) };
}
