import { readCatalog } from "./catalog.ts";
import { PlanOutdatedError } from "./errors.ts";
import type { BackupManifest } from "./manifest.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import { backupPrefix, dataKeyKey, manifestName } from "./repository/layout.ts";
import { encodeRecord } from "./repository/record.ts";
import { readRecord, type Repository } from "./repository/repository.ts";
import { writeObject } from "./repository/storage.ts";
import type { ExpirationPlan, ExpiredBackup } from "./retention.ts";

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
}

/**
 * Applies an expiration plan: writes down what it will remove, then takes each backup's record away first, so that
 * nothing half-removed ever lists as good, then its objects, then its key.
 * @throws {PlanOutdatedError} when a backup the plan keeps is gone or damaged @throws {AbortedError}
 */
export async function expireBackups(options: ExpireOptions): Promise<ExpireReport> {
  const { repository, plan } = options;
  const job = resolveJobOptions(options);
  const { backups } = await readCatalog(repository, { signal: job.signal });
  const present = new Set(backups.map(({ label }) => label));
  const lost = plan.keep.filter(({ label }) => !present.has(label));
  const going = [...plan.expire, ...plan.incomplete];
  if (lost.length > 0 && going.length > 0) {
    throw new PlanOutdatedError(`backup ${lost[0]!.label}, which the plan keeps, is no longer complete`, {
      hint: "Verify the repository, then plan again.",
    });
  }
  if (going.length > 0) await writeJournal(repository, plan, job.clock.now());
  const removed: string[] = [];
  let freedBytes = 0;
  for (const backup of going) {
    // An incomplete folder that became a backup since the plan was made stays.
    if (plan.incomplete.includes(backup) && present.has(backup.label)) continue;
    freedBytes += await removeBackup(repository, backup, job);
    removed.push(backup.label);
    job.onProgress({ phase: "expire", current: removed.length, total: going.length, unit: "steps" });
    job.logger.info({ label: backup.label, reason: backup.reason }, "backup expired");
  }
  await repository.storage.removeUnfinished(24 * 3_600_000);
  job.metrics.count("db_backup_expired_total", {}, removed.length);
  return { removed, kept: plan.keep.map(({ label }) => label), freedBytes };
}

async function removeBackup(repository: Repository, backup: ExpiredBackup, job: ResolvedJobOptions): Promise<number> {
  const { storage } = repository;
  const prefix = backupPrefix(backup.systemIdentifier, backup.label);
  const record = await readRecord<BackupManifest>(storage, prefix + manifestName).catch(() => undefined);
  await storage.remove(prefix + manifestName);
  let freed = 0;
  for await (const { key, sizeBytes } of storage.list(prefix, { signal: job.signal })) {
    await storage.remove(key);
    freed += sizeBytes;
  }
  // Without its key, a copy somebody kept of the objects is unreadable.
  if (record?.dataKeyId != null) await storage.remove(dataKeyKey(backup.systemIdentifier, record.dataKeyId));
  return freed;
}

async function writeJournal(repository: Repository, plan: ExpirationPlan, now: number): Promise<void> {
  const at = new Date(now).toISOString();
  const entry = { action: "expire", at, expire: plan.expire, incomplete: plan.incomplete };
  const key = `journal/${at.replace(/[-:.]/g, "")}-expire.json`;
  await writeObject(repository.storage, key, encodeRecord(entry), { ifAbsent: false });
}
