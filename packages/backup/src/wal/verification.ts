import { type Finding, isDbError, messageOf } from "@db/core";
import { type JobOptions, resolveJobOptions } from "../options.ts";
import { dataKeyKey, walEpochsPrefix, walPositionKey } from "../repository/layout.ts";
import { readRecord, type Repository } from "../repository/repository.ts";
import { checkSealed } from "../repository/sealed-object.ts";
import { listEpochs, WalArchive } from "./archive.ts";
import { listWal, type WalListing } from "./listing.ts";

/** What to verify. */
export interface WalVerifyOptions extends JobOptions {
  readonly repository: Repository;
  readonly systemIdentifier: string;
}

/** What verification found. */
export interface WalVerifyReport {
  readonly ok: boolean;
  readonly files: number;
  /** Stored bytes read. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/**
 * Reads every file of a WAL archive back and compares its digest with its record, and the record with the key that
 * wrote it when that is at hand. What only tells of the archive (its keys' order, its position, its gaps) is checked too:
 * damage there is told, and nothing is lost by it. A fault is a finding.
 * @throws {StorageError} @throws {AbortedError}
 */
export async function verifyWal(options: WalVerifyOptions): Promise<WalVerifyReport> {
  const { repository, systemIdentifier } = options;
  const { signal, onProgress, clock } = resolveJobOptions(options);
  await repository.refresh();
  const listing = await listWal(repository, systemIdentifier, { signal });
  const histories = listing.histories.map((t) => `${t.toString(16).toUpperCase().padStart(8, "0")}.history`);
  const names = [...listing.segments, ...[...listing.partials.values()].flat(), ...listing.labels, ...histories];
  const archive = new WalArchive(repository, systemIdentifier);
  const findings: Finding[] = [];
  const keys = new Set<string>();
  let bytes = 0;
  for (const [index, name] of names.entries()) {
    const fault = await faultOf(async () => {
      const record = await archive.record(name);
      if (record.dataKeyId !== null) keys.add(record.dataKeyId);
      const expected = { sha256: record.storedSha256, storedBytes: record.storedBytes };
      bytes += await checkSealed(repository.storage, archive.objectKey(record), expected, signal);
    });
    if (fault !== undefined) findings.push(corrupt(name, fault));
    onProgress({ phase: "verify-wal", current: index + 1, total: names.length, unit: "files", message: name });
  }
  // Without the repository's key the records were not opened; that each has its wrapped key can be seen all the same.
  for (const id of keys) {
    const fault = await faultOf(() => readRecord(repository.storage, dataKeyKey(systemIdentifier, id)));
    if (fault !== undefined) findings.push(corrupt(id, fault));
  }
  for (const key of listing.damaged) findings.push(unreadable(key));
  const position = walPositionKey(systemIdentifier);
  const untold = !listing.position && !listing.damaged.includes(position);
  if (untold && hasOldTail(listing, clock.now() - 60_000)) findings.push(unreadable(position));
  if (keys.size > 0) findings.push(...(await checkEpochs(repository, systemIdentifier)));
  const ok = !findings.some(({ severity }) => severity === "critical");
  return { ok, files: names.length, bytes, findings };
}

/** Whoever stores a tail writes down how far it reaches, a moment later. */
function hasOldTail({ objects }: WalListing, before: number): boolean {
  return [...objects].some(([key, { modifiedAt }]) => /\.partial-[^/]+\.sealed$/.test(key) && modifiedAt < before);
}

/** Which key is written with: a new one is made where this cannot be read. */
async function checkEpochs(repository: Repository, systemIdentifier: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const epochs = await listEpochs(repository, systemIdentifier);
  if (epochs.length === 0) findings.push(unreadable(walEpochsPrefix(systemIdentifier)));
  for (const key of epochs) {
    const fault = await faultOf(async () => {
      const { dataKeyId } = await readRecord<{ dataKeyId?: string }>(repository.storage, key);
      await readRecord(repository.storage, dataKeyKey(systemIdentifier, String(dataKeyId)));
    });
    if (fault !== undefined) findings.push(unreadable(key));
  }
  return findings;
}

/** What is wrong with an object; undefined when nothing is. */
async function faultOf(check: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (isDbError(error, "BACKUP_CORRUPT") || isDbError(error, "BACKUP_OBJECT_NOT_FOUND")) return messageOf(error);
    throw error;
  }
}

function corrupt(subject: string, title: string): Finding {
  const hint = "Recovery stops before it: copy it from another repository, push it again, or take a full backup now.";
  return { id: "WAL-CORRUPT", severity: "critical", title, subject, hint };
}

function unreadable(key: string): Finding {
  return {
    id: "WAL-RECORD-DAMAGED",
    severity: "warn",
    title: `${key} is damaged or missing`,
    subject: key,
    hint: "No WAL is lost by it: it is written anew. Look for what changes files in the repository.",
  };
}
