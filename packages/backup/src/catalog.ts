import { isDbError } from "@db/core";
import { sortBackups } from "./backup-order.ts";
import { BackupNotFoundError, CorruptObjectError, InvalidBackupOptionsError } from "./errors.ts";
import { type BackupInfo, type BackupManifest, backupInfo, type BackupMark } from "./manifest.ts";
import { checkManifestNames } from "./manifest-names.ts";
import { deriveKey } from "./repository/key.ts";
import {
  backupPrefix,
  manifestName,
  markName,
  parseBackupKey,
  parseWalRecordKey,
  verificationName,
} from "./repository/layout.ts";
import { authenticateRecord, decodeRecord, encodeRecord } from "./repository/record.ts";
import { type DataKey, readRecord, type Repository } from "./repository/repository.ts";
import { readObject, writeObject } from "./repository/storage.ts";

/** A backup's folder without a valid commit record: cut short, still running, or damaged. Restore never sees it. */
export interface UnusableBackup {
  readonly label: string;
  readonly systemIdentifier: string;
  readonly reason: "incomplete" | "damaged";
  readonly storedBytes: number;
  /** When something was last written there, ISO 8601. */
  readonly lastWrittenAt: string;
}

/** The WAL archive of one cluster, as its names tell. */
export interface WalHoldings {
  readonly systemIdentifier: string;
  /** Zero when no backup tells it. */
  readonly segmentBytes: number;
  /** Every stored file, in the order of names. */
  readonly files: readonly { readonly name: string; readonly storedBytes: number }[];
}

/** Everything a repository holds. */
export interface Catalog {
  /** The latest first, by the position in their cluster's WAL. */
  readonly backups: readonly BackupInfo[];
  readonly unusable: readonly UnusableBackup[];
  /** Absent where there is no archive. */
  readonly wal?: readonly WalHoldings[];
}

/** How deep a backup was verified and when. */
export interface VerificationMark {
  readonly label: string;
  readonly depth: "checksums" | "deep" | "drill";
  /** ISO 8601. */
  readonly verifiedAt: string;
}

/** Reads what the repository holds; needs no key. */
export async function readCatalog(
  repository: Repository,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Catalog> {
  const folders = new Map<
    string,
    { systemIdentifier: string; label: string; names: Set<string>; bytes: number; at: number }
  >();
  await repository.refresh();
  const wal = new WalTally();
  for await (const object of repository.storage.list("", options)) {
    wal.add(object.key, object.sizeBytes);
    const parsed = parseBackupKey(object.key);
    if (!parsed) continue;
    const { systemIdentifier, label, name } = parsed;
    const id = backupPrefix(systemIdentifier, label);
    const folder = folders.get(id) ?? { systemIdentifier, label, names: new Set(), bytes: 0, at: 0 };
    folder.names.add(name);
    folder.bytes += object.sizeBytes;
    folder.at = Math.max(folder.at, object.modifiedAt);
    folders.set(id, folder);
  }
  const backups: BackupInfo[] = [];
  const unusable: UnusableBackup[] = [];
  for (const [prefix, folder] of folders) {
    const { systemIdentifier, label } = folder;
    const fail = (reason: UnusableBackup["reason"]): void => {
      const lastWrittenAt = new Date(folder.at).toISOString();
      unusable.push({ label, systemIdentifier, reason, storedBytes: folder.bytes, lastWrittenAt });
    };
    if (!folder.names.has(manifestName)) {
      // One that was verified had its record once.
      fail(folder.names.has(verificationName) ? "damaged" : "incomplete");
      continue;
    }
    try {
      const manifest = await readRecord<BackupManifest>(repository.storage, prefix + manifestName, options.signal);
      if (manifest.label !== label || manifest.systemIdentifier !== systemIdentifier) throw misplaced(prefix);
      wal.tell(systemIdentifier, manifest.walSegmentBytes);
      const verifiedAt = await readVerifiedAt(repository, prefix, label, folder.names);
      const mark = folder.names.has(markName) ? await readMark(repository, prefix) : undefined;
      backups.push(backupInfo(manifest, verifiedAt, mark));
    } catch (error) {
      if (!isDbError(error, "BACKUP_CORRUPT")) throw error;
      fail("damaged");
    }
  }
  const holdings = wal.holdings();
  return { backups: sortBackups(backups), unusable, ...(holdings.length > 0 ? { wal: holdings } : {}) };
}

/** Gathers the WAL archives while a repository is listed. */
class WalTally {
  readonly #files = new Map<string, Map<string, number>>();
  readonly #segmentBytes = new Map<string, number>();

  add(key: string, sizeBytes: number): void {
    const record = parseWalRecordKey(key);
    const object = /^(\d+)\/wal\/.*\/([0-9A-F][0-9A-Za-z.-]*)-[0-9a-f]{12}\.sealed$/.exec(key);
    const id = record?.systemIdentifier ?? object?.[1];
    const name = record?.name ?? object?.[2];
    if (id === undefined || name === undefined) return;
    const files = this.#files.get(id) ?? new Map<string, number>();
    files.set(name, (files.get(name) ?? 0) + sizeBytes);
    this.#files.set(id, files);
  }

  tell(systemIdentifier: string, segmentBytes: number): void {
    this.#segmentBytes.set(systemIdentifier, segmentBytes);
  }

  holdings(): WalHoldings[] {
    return [...this.#files].map(([systemIdentifier, files]) => ({
      systemIdentifier,
      segmentBytes: this.#segmentBytes.get(systemIdentifier) ?? 0,
      files: [...files]
        .map(([name, storedBytes]) => ({ name, storedBytes }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    }));
  }
}

/** Complete backups, newest first. Needs no key. */
export async function listBackups(
  repository: Repository,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly BackupInfo[]> {
  return (await readCatalog(repository, options)).backups;
}

/** A backup opened for reading. */
export interface OpenedBackup {
  readonly manifest: BackupManifest;
  /** The backup's folder, with a closing slash. */
  readonly prefix: string;
  readonly dataKey: DataKey | undefined;
}

/**
 * Reads one backup's commit record, opens its data key and checks that the record was written with it.
 * @throws {BackupNotFoundError} @throws {CorruptObjectError} @throws {MissingKeyError} @throws {UnsafePathError}
 */
export async function openBackup(
  repository: Repository,
  found: { readonly systemIdentifier: string; readonly label: string },
): Promise<OpenedBackup> {
  const prefix = backupPrefix(found.systemIdentifier, found.label);
  const raw = await readManifest(repository, prefix, found.label);
  const key = prefix + manifestName;
  const manifest = decodeRecord<BackupManifest>(raw, key);
  if (manifest.label !== found.label || manifest.systemIdentifier !== found.systemIdentifier) throw misplaced(prefix);
  if (manifest.dataKeyId === null) {
    if (repository.identity?.encryption) throw new CorruptObjectError(key, "is of a plain backup");
    checkManifestNames(manifest, key);
    return { manifest, prefix, dataKey: undefined };
  }
  const dataKey = await repository.readDataKey(manifest.systemIdentifier, manifest.dataKeyId);
  authenticateRecord(raw, key, manifestMacKey(dataKey));
  checkManifestNames(manifest, key);
  return { manifest, prefix, dataKey };
}

/** Writes down that a backup was read back whole, which retention and freshness count. */
export async function markVerified(
  repository: Repository,
  systemIdentifier: string,
  mark: VerificationMark,
): Promise<void> {
  const key = backupPrefix(systemIdentifier, mark.label) + verificationName;
  await writeObject(repository.storage, key, encodeRecord(mark), { ifAbsent: false });
}

/** Marks a backup to stay, or takes the mark off. @throws {BackupNotFoundError} */
export async function markBackup(
  repository: Repository,
  label: string,
  mark: {
    readonly kind: BackupMark["kind"] | "none";
    /** ISO 8601; only for `keep`. Default: for good. */
    readonly until?: string | undefined;
    readonly reason?: string | undefined;
    /** Milliseconds since the epoch. */
    readonly now: number;
  },
): Promise<void> {
  const found = (await listBackups(repository)).find((backup) => backup.label === label);
  if (!found) {
    throw new BackupNotFoundError(`no complete backup "${label}" in ${repository.location}`, {
      hint: "List what is there: db backup list.",
    });
  }
  const key = backupPrefix(found.systemIdentifier, label) + markName;
  const record = markRecord(mark);
  if (record === undefined) return repository.storage.remove(key);
  await writeObject(repository.storage, key, encodeRecord(record), { ifAbsent: false });
}

/** What a mark is stored as; undefined for none. @throws {InvalidBackupOptionsError} */
export function markRecord(mark: {
  readonly kind: BackupMark["kind"] | "none";
  readonly until?: string | undefined;
  readonly reason?: string | undefined;
  readonly now: number;
}): BackupMark | undefined {
  const { kind, until = null, reason = "" } = mark;
  if (until !== null && (kind !== "keep" || Number.isNaN(Date.parse(until)))) {
    throw new InvalidBackupOptionsError(`a mark "${kind}" cannot end at "${until}"`, {
      hint: "Give keep a time as 2027-01-01T00:00:00Z; a hold ends when it is released.",
    });
  }
  return kind === "none" ? undefined : { kind, until, reason, markedAt: new Date(mark.now).toISOString() };
}

/** A broken mark is a hold: whoever made it wanted the backup to stay. */
async function readMark(repository: Repository, prefix: string): Promise<BackupMark> {
  try {
    return await readRecord<BackupMark>(repository.storage, prefix + markName);
  } catch (error) {
    if (!isDbError(error, "BACKUP_CORRUPT")) throw error;
    return { kind: "hold", until: null, reason: "its mark is damaged", markedAt: new Date(0).toISOString() };
  }
}

/** The key that authenticates a commit record. */
export function manifestMacKey(dataKey: DataKey): Buffer {
  return deriveKey(dataKey.bytes, Buffer.alloc(0), "manifest");
}

async function readManifest(repository: Repository, prefix: string, label: string): Promise<Buffer> {
  try {
    return await readObject(repository.storage, prefix + manifestName);
  } catch (cause) {
    if (!isDbError(cause, "BACKUP_OBJECT_NOT_FOUND")) throw cause;
    throw new BackupNotFoundError(`no complete backup "${label}" in ${repository.location}`, {
      cause,
      hint: "List what is there: db backup list.",
    });
  }
}

async function readVerifiedAt(
  repository: Repository,
  prefix: string,
  label: string,
  names: ReadonlySet<string>,
): Promise<string | null> {
  if (!names.has(verificationName)) return null;
  try {
    const mark = await readRecord<VerificationMark>(repository.storage, prefix + verificationName);
    return mark.label === label ? mark.verifiedAt : null;
  } catch (error) {
    // A broken mark only means: not known to be verified.
    if (isDbError(error, "BACKUP_CORRUPT")) return null;
    throw error;
  }
}

function misplaced(prefix: string): CorruptObjectError {
  return new CorruptObjectError(prefix + manifestName, "is the record of another backup");
}
