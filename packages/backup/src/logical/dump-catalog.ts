import { isDbError } from "@db/core";
import { manifestMacKey, markRecord } from "../catalog.ts";
import { BackupNotFoundError, CorruptObjectError } from "../errors.ts";
import type { BackupMark } from "../manifest.ts";
import { dumpPrefix, manifestName, markName, parseDumpKey, verificationName } from "../repository/layout.ts";
import { authenticateRecord, decodeRecord, encodeRecord } from "../repository/record.ts";
import { type DataKey, readRecord, type Repository } from "../repository/repository.ts";
import { readObject, writeObject } from "../repository/storage.ts";
import { type DumpInfo, dumpInfo, type DumpManifest } from "./dump-manifest.ts";

/** A dump's folder without a valid commit record. */
export interface UnusableDump {
  readonly label: string;
  readonly systemIdentifier: string;
  readonly reason: "incomplete" | "damaged";
  readonly storedBytes: number;
  readonly lastWrittenAt: string;
}

/** Every dump in a repository. */
export interface DumpCatalog {
  /** Newest first. */
  readonly dumps: readonly DumpInfo[];
  readonly unusable: readonly UnusableDump[];
}

/** Reads which dumps there are; needs no key. */
export async function readDumpCatalog(
  repository: Repository,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<DumpCatalog> {
  const folders = new Map<
    string,
    { systemIdentifier: string; label: string; names: Set<string>; bytes: number; at: number }
  >();
  await repository.refresh();
  for await (const { key, sizeBytes, modifiedAt } of repository.storage.list("", options)) {
    const parsed = parseDumpKey(key);
    if (!parsed) continue;
    const { systemIdentifier, label, name } = parsed;
    const prefix = dumpPrefix(systemIdentifier, label);
    const folder = folders.get(prefix) ?? { systemIdentifier, label, names: new Set(), bytes: 0, at: 0 };
    folder.names.add(name);
    folder.bytes += sizeBytes;
    folder.at = Math.max(folder.at, modifiedAt);
    folders.set(prefix, folder);
  }
  const dumps: DumpInfo[] = [];
  const unusable: UnusableDump[] = [];
  for (const [prefix, { systemIdentifier, label, names, bytes, at }] of folders) {
    const fail = (reason: UnusableDump["reason"]): void => {
      const lastWrittenAt = new Date(at).toISOString();
      unusable.push({ label, systemIdentifier, reason, storedBytes: bytes, lastWrittenAt });
    };
    if (!names.has(manifestName)) {
      fail(names.has(verificationName) ? "damaged" : "incomplete");
      continue;
    }
    try {
      const manifest = await readRecord<DumpManifest>(repository.storage, prefix + manifestName, options.signal);
      if (manifest.label !== label || manifest.systemIdentifier !== systemIdentifier) {
        throw new CorruptObjectError(prefix + manifestName, "is the record of another dump");
      }
      const verified = names.has(verificationName)
        ? await readQuietly<{ verifiedAt: string }>(repository, prefix + verificationName)
        : undefined;
      // A broken mark is a hold: whoever made it wanted the dump to stay.
      const broken: BackupMark = {
        kind: "hold",
        until: null,
        reason: "its mark is damaged",
        markedAt: new Date(0).toISOString(),
      };
      const mark = names.has(markName)
        ? ((await readQuietly<BackupMark>(repository, prefix + markName)) ?? broken)
        : undefined;
      dumps.push(dumpInfo(manifest, verified?.verifiedAt ?? null, mark));
    } catch (error) {
      if (!isDbError(error, "BACKUP_CORRUPT")) throw error;
      fail("damaged");
    }
  }
  dumps.sort((a, b) => (a.stoppedAt < b.stoppedAt ? 1 : a.stoppedAt > b.stoppedAt ? -1 : a.label < b.label ? 1 : -1));
  return { dumps, unusable };
}

/** @throws {BackupNotFoundError} */
export async function findDump(repository: Repository, label: string): Promise<DumpInfo> {
  const found = (await readDumpCatalog(repository)).dumps.find((dump) => dump.label === label);
  if (found) return found;
  throw new BackupNotFoundError(`no complete dump "${label}" in ${repository.location}`, {
    hint: "List what is there: db backup list.",
  });
}

/** A dump opened for reading. */
export interface OpenedDump {
  readonly manifest: DumpManifest;
  readonly prefix: string;
  readonly dataKey: DataKey | undefined;
}

/** Opens a dump's record and key. @throws {CorruptObjectError} @throws {MissingKeyError} @throws {BackupNotFoundError} */
export async function openDump(
  repository: Repository,
  { systemIdentifier, label }: { readonly systemIdentifier: string; readonly label: string },
): Promise<OpenedDump> {
  const prefix = dumpPrefix(systemIdentifier, label);
  const key = prefix + manifestName;
  const raw = await readObject(repository.storage, key);
  const manifest = decodeRecord<DumpManifest>(raw, key);
  if (manifest.dataKeyId === null) {
    if (repository.identity?.encryption) throw new CorruptObjectError(key, "is of a plain dump");
    return { manifest, prefix, dataKey: undefined };
  }
  const dataKey = await repository.readDataKey(systemIdentifier, manifest.dataKeyId);
  authenticateRecord(raw, key, manifestMacKey(dataKey));
  return { manifest, prefix, dataKey };
}

/** Marks a dump to stay, or takes the mark off. @throws {BackupNotFoundError} */
export async function markDump(
  repository: Repository,
  label: string,
  mark: {
    readonly kind: BackupMark["kind"] | "none";
    readonly until?: string | undefined;
    readonly reason?: string | undefined;
    readonly now: number;
  },
): Promise<void> {
  const { systemIdentifier } = await findDump(repository, label);
  const key = dumpPrefix(systemIdentifier, label) + markName;
  const record = markRecord(mark);
  if (record === undefined) return repository.storage.remove(key);
  await writeObject(repository.storage, key, encodeRecord(record), { ifAbsent: false });
}

async function readQuietly<T extends object>(repository: Repository, key: string): Promise<T | undefined> {
  try {
    return await readRecord<T>(repository.storage, key);
  } catch (error) {
    if (isDbError(error, "BACKUP_CORRUPT")) return undefined;
    throw error;
  }
}
