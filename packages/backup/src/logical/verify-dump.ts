import { type Finding, isDbError, messageOf } from "@db/core";
import { type JobOptions, resolveJobOptions } from "../options.ts";
import { dumpPrefix, filesName, manifestName, markName, verificationName } from "../repository/layout.ts";
import { encodeRecord } from "../repository/record.ts";
import { readRecord, type Repository } from "../repository/repository.ts";
import { checkSealed } from "../repository/sealed-object.ts";
import { writeObject } from "../repository/storage.ts";
import { parseFileIndex, readBackupObject, readStoredFiles } from "../stored-files.ts";
import type { VerifyDepth } from "../verify.ts";
import { findDump, openDump } from "./dump-catalog.ts";
import type { DumpManifest } from "./dump-manifest.ts";

/** What to verify. */
export interface VerifyDumpOptions extends JobOptions {
  readonly repository: Repository;
  readonly label: string;
  /** As for backups: a listing, all checksums (default; needs no key), or every file decrypted and unpacked. */
  readonly depth?: VerifyDepth | undefined;
}

/** What verification found. */
export interface VerifyDumpReport {
  readonly label: string;
  readonly depth: VerifyDepth;
  readonly ok: boolean;
  /** Stored bytes read. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/**
 * Reads a dump back and says what is wrong with it; what was read whole without a fault is marked verified.
 * @throws {BackupNotFoundError} @throws {MissingKeyError} for depth `deep` @throws {AbortedError}
 */
export async function verifyDump(options: VerifyDumpOptions): Promise<VerifyDumpReport> {
  const { repository, label, depth = "checksums" } = options;
  const job = resolveJobOptions(options);
  const info = await findDump(repository, label);
  if (depth === "deep") repository.requireKey();
  const prefix = dumpPrefix(info.systemIdentifier, label);
  const { storage } = repository;
  const findings: Finding[] = [];
  const fault = (title: string): void => {
    const hint = "Take another dump now, and copy this repository from its replica if there is one.";
    findings.push({ id: "BACKUP-CORRUPT", severity: "critical", title, subject: label, hint });
  };
  const watch = async (check: () => Promise<void>): Promise<void> => {
    try {
      await check();
    } catch (error) {
      if (!isDbError(error, "BACKUP_CORRUPT") && !isDbError(error, "BACKUP_OBJECT_NOT_FOUND")) throw error;
      fault(messageOf(error));
    }
  };
  let bytes = 0;
  const manifest = await readRecord<DumpManifest>(storage, prefix + manifestName);
  const objects = [...manifest.packs, ...manifest.objects];
  const expected = new Map(objects.map((object) => [object.name, object.storedBytes]));
  for await (const { key, sizeBytes } of storage.list(prefix, { signal: job.signal })) {
    const name = key.slice(prefix.length);
    const wanted = expected.get(name);
    expected.delete(name);
    if (wanted !== undefined && wanted !== sizeBytes) fault(`${key} has ${sizeBytes} bytes instead of ${wanted}`);
    if (wanted === undefined && ![manifestName, markName, verificationName].includes(name)) {
      fault(`${key} does not belong to the dump`);
    }
  }
  for (const name of expected.keys()) fault(`${prefix}${name} is missing`);
  if (repository.canDecrypt) await watch(async () => void (await openDump(repository, info)));
  if (depth !== "listing" && findings.length === 0) {
    for (const { name, sha256, storedBytes } of objects) {
      await watch(async () => {
        bytes += await checkSealed(storage, prefix + name, { sha256, storedBytes }, job.signal);
      });
      job.onProgress({ phase: "verify", current: bytes, total: manifest.storedBytes, unit: "bytes", message: label });
    }
  }
  if (depth === "deep" && findings.length === 0) {
    await watch(async () => {
      const dump = await openDump(repository, info);
      const index = await readBackupObject(repository, dump, filesName, job.signal);
      const nothing = async (): Promise<void> => undefined;
      const nowhere = { write: nothing, end: nothing, abort: nothing };
      const entries = parseFileIndex(index, prefix + filesName);
      await readStoredFiles(repository, dump, entries, async () => nowhere, { signal: job.signal });
    });
  }
  const ok = findings.length === 0;
  if (ok && depth !== "listing") {
    const mark = { label, depth, verifiedAt: new Date(job.clock.now()).toISOString() };
    await writeObject(storage, prefix + verificationName, encodeRecord(mark), { ifAbsent: false });
  }
  return { label, depth, ok, bytes, findings };
}
