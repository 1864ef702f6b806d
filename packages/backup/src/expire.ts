import { isDbError } from "@db/core";
import { type Catalog, readCatalog } from "./catalog.ts";
import { PlanOutdatedError } from "./errors.ts";
import type { BackupManifest } from "./manifest.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import {
  backupPrefix,
  dataKeyKey,
  journalPrefix,
  manifestName,
  markName,
  verificationName,
} from "./repository/layout.ts";
import { writingLease } from "./repository/label.ts";
import { isRead, isTaken, takeLease } from "./repository/lease.ts";
import { encodeRecord } from "./repository/record.ts";
import { readRecord, type Repository } from "./repository/repository.ts";
import { writeObject } from "./repository/storage.ts";
import type { ExpirationPlan, ExpiredBackup } from "./retention.ts";
import { WalArchive } from "./wal/archive.ts";
import { sweepWal } from "./wal/sweep.ts";

/** What to remove. */
export interface ExpireOptions extends JobOptions {
  readonly repository: Repository;
  /** From `planExpiration`; executed as it is. */
  readonly plan: ExpirationPlan;
}

/** What was removed. */
export interface ExpireReport {
  readonly removed: readonly string[];
  readonly kept: readonly string[];
  readonly freedBytes: number;
  /** What the plan lets go and was left all the same, with the reason. */
  readonly skipped: readonly { readonly label: string; readonly reason: string }[];
  readonly walFilesRemoved: number;
}

/** What an expiry writes down before it begins; without `finishedAt` it was cut short. */
interface JournalEntry {
  readonly action: "expire";
  readonly at: string;
  readonly expire: readonly ExpiredBackup[];
  readonly incomplete: readonly ExpiredBackup[];
  readonly wal: readonly { readonly systemIdentifier: string; readonly files: readonly string[] }[];
  readonly finishedAt?: string;
}

/**
 * Applies an expiration plan: writes down what it will remove, then takes each backup's record away first, so that
 * nothing half-removed ever lists as good, then its objects, then its key; then the WAL no backup needs. What an
 * earlier expiry that was cut short had begun, it brings to its end.
 *
 * A backup that is being restored, or that was marked since the plan was made, stays.
 * @throws {PlanOutdatedError} when a backup the plan keeps is gone or damaged @throws {RepositoryBusyError}
 * @throws {AbortedError}
 */
export async function expireBackups(options: ExpireOptions): Promise<ExpireReport> {
  const { repository, plan } = options;
  const job = resolveJobOptions(options);
  const { storage } = repository;
  const kept = plan.keep.map(({ label }) => label);
  const nothing = plan.expire.length + plan.incomplete.length + (plan.wal ?? []).flatMap((w) => w.expire).length === 0;
  if (nothing) {
    await storage.removeUnfinished(24 * 3_600_000);
    return { removed: [], kept, freedBytes: 0, skipped: [], walFilesRemoved: 0 };
  }
  await using _lease = await takeLease(storage, "expire", job.clock);
  await finishJournals(repository, job);
  const catalog = await readCatalog(repository, { signal: job.signal });
  const present = new Set(catalog.backups.map(({ label }) => label));
  const lost = plan.keep.find(({ label }) => !present.has(label));
  if (lost) {
    throw new PlanOutdatedError(`backup ${lost.label}, which the plan keeps, is no longer complete`, {
      hint: "Verify the repository, then plan again.",
    });
  }
  const journal = await writeJournal(repository, plan, job.clock.now());
  const removed: string[] = [];
  const skipped: { label: string; reason: string }[] = [];
  let freedBytes = 0;
  const going = [...plan.expire, ...plan.incomplete];
  for (const backup of going) {
    const { label } = backup;
    // An incomplete folder that became a backup since the plan was made stays.
    if (plan.incomplete.includes(backup) && present.has(label)) continue;
    const reason = await reasonToSkip(repository, catalog, backup, job);
    if (reason !== undefined) {
      skipped.push({ label, reason });
      job.logger.warn({ label, reason }, "backup stays for now");
      continue;
    }
    freedBytes += await removeBackup(repository, backup, job);
    removed.push(label);
    job.onProgress({ phase: "expire", current: removed.length, total: going.length, unit: "steps" });
    job.logger.info({ label, reason: backup.reason }, "backup expired");
  }
  // A backup that stays after all may need its WAL: another time then.
  const wal = skipped.length > 0 ? { files: 0, bytes: 0 } : await removeWal(repository, plan, job);
  await journal.finish(job.clock.now());
  await storage.removeUnfinished(24 * 3_600_000);
  job.metrics.count("db_backup_expired_total", {}, removed.length);
  return { removed, kept, freedBytes: freedBytes + wal.bytes, skipped, walFilesRemoved: wal.files };
}

async function reasonToSkip(
  repository: Repository,
  catalog: Catalog,
  { label, systemIdentifier }: ExpiredBackup,
  { clock }: ResolvedJobOptions,
): Promise<string | undefined> {
  const found = catalog.backups.find((b) => b.label === label && b.systemIdentifier === systemIdentifier);
  if (found?.mark && (found.mark.until === null || Date.parse(found.mark.until) > clock.now())) {
    return `marked ${found.mark.kind}`;
  }
  if (await isTaken(repository.storage, writingLease(label), clock)) return "being written";
  return (await isRead(repository.storage, label, clock)) ? "being restored" : undefined;
}

/**
 * Removes one backup. First its mark of verification: a folder that has one and no record counts as damaged, not as
 * given up.
 */
async function removeBackup(repository: Repository, backup: ExpiredBackup, job: ResolvedJobOptions): Promise<number> {
  const { storage } = repository;
  const prefix = backupPrefix(backup.systemIdentifier, backup.label);
  const record = await readRecord<BackupManifest>(storage, prefix + manifestName).catch(() => undefined);
  await storage.remove(prefix + verificationName);
  await storage.remove(prefix + markName);
  await storage.remove(prefix + manifestName);
  // Without its key, a copy somebody kept of the objects is unreadable.
  if (record?.dataKeyId != null) await storage.remove(dataKeyKey(backup.systemIdentifier, record.dataKeyId));
  let freed = 0;
  const keys: { key: string; sizeBytes: number }[] = [];
  for await (const object of storage.list(prefix, { signal: job.signal })) keys.push(object);
  for (const { key, sizeBytes } of keys) {
    await storage.remove(key);
    freed += sizeBytes;
  }
  return freed;
}

async function removeWal(
  repository: Repository,
  plan: ExpirationPlan,
  job: ResolvedJobOptions,
): Promise<{ files: number; bytes: number }> {
  let files = 0;
  let bytes = 0;
  for (const { systemIdentifier, expire } of plan.wal ?? []) {
    const archive = new WalArchive(repository, systemIdentifier);
    for (const { name } of expire) {
      bytes += await archive.remove(name);
      files++;
      job.onProgress({ phase: "expire-wal", current: files, total: expire.length, unit: "files" });
    }
    bytes += await sweepWal(repository, systemIdentifier, job.clock.now() - 24 * 3_600_000);
  }
  return { files, bytes };
}

/** Ends what a killed expiry began: what has lost its record loses the rest. What still has one was never begun. */
async function finishJournals(repository: Repository, job: ResolvedJobOptions): Promise<void> {
  const { storage } = repository;
  const open: { key: string; entry: JournalEntry }[] = [];
  for await (const { key } of storage.list(journalPrefix)) {
    const entry = await readRecord<JournalEntry>(storage, key).catch(() => undefined);
    if (entry?.action === "expire" && entry.finishedAt === undefined) open.push({ key, entry });
  }
  for (const { key, entry } of open) {
    for (const backup of entry.expire) {
      const manifest = backupPrefix(backup.systemIdentifier, backup.label) + manifestName;
      const there = await readRecord(storage, manifest).then(
        () => true,
        (error: unknown) => !isDbError(error, "BACKUP_CORRUPT"),
      );
      // Its name may have been given anew since, after a clock went back.
      const written = await isTaken(storage, writingLease(backup.label), job.clock);
      if (!there && !written) await removeBackup(repository, backup, job);
    }
    const finishedAt = new Date(job.clock.now()).toISOString();
    await writeObject(storage, key, encodeRecord({ ...entry, finishedAt }), { ifAbsent: false });
  }
}

async function writeJournal(
  repository: Repository,
  plan: ExpirationPlan,
  now: number,
): Promise<{ finish(at: number): Promise<void> }> {
  const at = new Date(now).toISOString();
  const entry: JournalEntry = {
    action: "expire",
    at,
    expire: plan.expire,
    incomplete: plan.incomplete,
    wal: (plan.wal ?? []).map(({ systemIdentifier, expire }) => ({
      systemIdentifier,
      files: expire.map(({ name }) => name),
    })),
  };
  const key = `${journalPrefix}${at.replace(/[-:.]/g, "")}-expire.json`;
  await writeObject(repository.storage, key, encodeRecord(entry), { ifAbsent: false });
  return {
    finish: async (end) => {
      const finished = { ...entry, finishedAt: new Date(end).toISOString() };
      await writeObject(repository.storage, key, encodeRecord(finished), { ifAbsent: false });
    },
  };
}
