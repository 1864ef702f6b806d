import { type Finding, isDbError, messageOf } from "@db/core";
import { type JobOptions, resolveJobOptions } from "../options.ts";
import type { Repository } from "../repository/repository.ts";
import { checkSealed } from "../repository/sealed-object.ts";
import { WalArchive } from "./archive.ts";
import { listWal } from "./listing.ts";

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
 * wrote it when that is at hand. A fault is a finding.
 * @throws {StorageError} @throws {AbortedError}
 */
export async function verifyWal(options: WalVerifyOptions): Promise<WalVerifyReport> {
  const { repository, systemIdentifier } = options;
  const { signal, onProgress } = resolveJobOptions(options);
  await repository.refresh();
  const listing = await listWal(repository, systemIdentifier, { signal });
  const histories = listing.histories.map((t) => `${t.toString(16).toUpperCase().padStart(8, "0")}.history`);
  const names = [...listing.segments, ...[...listing.partials.values()].flat(), ...listing.labels, ...histories];
  const archive = new WalArchive(repository, systemIdentifier);
  const findings: Finding[] = [];
  let bytes = 0;
  for (const [index, name] of names.entries()) {
    try {
      const record = await archive.record(name);
      const expected = { sha256: record.storedSha256, storedBytes: record.storedBytes };
      bytes += await checkSealed(repository.storage, archive.objectKey(record), expected, signal);
    } catch (error) {
      if (!isDbError(error, "BACKUP_CORRUPT") && !isDbError(error, "BACKUP_OBJECT_NOT_FOUND")) throw error;
      findings.push({
        id: "WAL-CORRUPT",
        severity: "critical",
        title: messageOf(error),
        subject: name,
        hint: "Recovery stops before it: copy it from another repository, push it again, or take a full backup now.",
      });
    }
    onProgress({ phase: "verify-wal", current: index + 1, total: names.length, unit: "files", message: name });
  }
  return { ok: findings.length === 0, files: names.length, bytes, findings };
}
