import { type JobOptions, resolveJobOptions } from "../options.ts";
import { dataKeyKey, dumpPrefix, manifestName, markName, verificationName } from "../repository/layout.ts";
import { isRead, takeLease } from "../repository/lease.ts";
import { readRecord, type Repository } from "../repository/repository.ts";
import { type ExpirationPlan, planExpiration, type RetentionPolicy } from "../retention.ts";
import { type DumpCatalog, readDumpCatalog } from "./dump-catalog.ts";
import type { DumpInfo, DumpManifest } from "./dump-manifest.ts";

/** What goes and what stays of the dumps; as for backups, without WAL. */
export type DumpExpirationPlan = Omit<ExpirationPlan, "wal">;

/**
 * Decides which dumps a policy lets go, for every database by itself, by the rules for full backups.
 * @param now milliseconds since the epoch
 */
export function planDumpExpiration(catalog: DumpCatalog, policy: RetentionPolicy, now: number): DumpExpirationPlan {
  const databases = Map.groupBy(catalog.dumps, ({ systemIdentifier, database }) => `${systemIdentifier}/${database}`);
  const plans = [...databases.values()].map((dumps) =>
    planExpiration({ backups: dumps.map(asFullBackup), unusable: [] }, policy, now),
  );
  const { incomplete } = planExpiration({ backups: [], unusable: catalog.unusable }, policy, now);
  const expire = plans.flatMap((plan) => plan.expire);
  const freedBytes = [...expire, ...incomplete].reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  return { keep: plans.flatMap((plan) => plan.keep), expire, incomplete, freedBytes };
}

/** What was removed. */
export interface ExpireDumpsReport {
  readonly removed: readonly string[];
  readonly freedBytes: number;
  readonly skipped: readonly { readonly label: string; readonly reason: string }[];
}

/**
 * Applies such a plan: each dump's record first, so that nothing half-removed lists as good. What was marked since, or is
 * being restored, stays.
 * @throws {RepositoryBusyError} @throws {AbortedError}
 */
export async function expireDumps(
  options: JobOptions & { readonly repository: Repository; readonly plan: DumpExpirationPlan },
): Promise<ExpireDumpsReport> {
  const { repository, plan } = options;
  const { storage } = repository;
  const job = resolveJobOptions(options);
  const going = [...plan.expire, ...plan.incomplete];
  if (going.length === 0) return { removed: [], freedBytes: 0, skipped: [] };
  await using _lease = await takeLease(storage, "expire", job.clock);
  const { dumps } = await readDumpCatalog(repository, { signal: job.signal });
  const removed: string[] = [];
  const skipped: { label: string; reason: string }[] = [];
  let freedBytes = 0;
  for (const dump of going) {
    const { label, systemIdentifier } = dump;
    const found = dumps.find((each) => each.label === label && each.systemIdentifier === systemIdentifier);
    // One that was unfinished when the plan was made and is whole now stays.
    if (found && plan.incomplete.includes(dump)) continue;
    const { mark } = found ?? {};
    const marked = mark && (mark.until === null || Date.parse(mark.until) > job.clock.now());
    const reason = marked
      ? `marked ${mark.kind}`
      : (await isRead(storage, label, job.clock))
        ? "being restored"
        : undefined;
    if (reason !== undefined) {
      skipped.push({ label, reason });
      continue;
    }
    freedBytes += await removeDump(repository, systemIdentifier, label);
    removed.push(label);
    job.logger.info({ label, reason: dump.reason }, "dump expired");
    job.onProgress({ phase: "expire", current: removed.length, total: going.length, unit: "steps", message: label });
  }
  return { removed, freedBytes, skipped };
}

async function removeDump({ storage }: Repository, systemIdentifier: string, label: string): Promise<number> {
  const prefix = dumpPrefix(systemIdentifier, label);
  const record = await readRecord<DumpManifest>(storage, prefix + manifestName).catch(() => undefined);
  for (const name of [verificationName, markName, manifestName]) await storage.remove(prefix + name);
  if (record?.dataKeyId != null) await storage.remove(dataKeyKey(systemIdentifier, record.dataKeyId));
  const objects: { readonly key: string; readonly sizeBytes: number }[] = [];
  for await (const object of storage.list(prefix)) objects.push(object);
  for (const { key } of objects) await storage.remove(key);
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

// The rules look at age, verification and marks; positions in WAL mean nothing here.
function asFullBackup(dump: DumpInfo) {
  return {
    ...dump,
    type: "full" as const,
    parent: null,
    status: "complete" as const,
    startLsn: "0/0",
    stopLsn: "0/0",
    timeline: 0,
    fromStandby: false,
    tablespaces: [],
    databases: [dump.database],
  };
}
