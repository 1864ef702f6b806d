import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type BackupInfo,
  BackupNotFoundError,
  type BackupOptions,
  type BackupReport,
  type Catalog,
  createBackup,
  type DrillReport,
  type ExpirationPlan,
  expireBackups,
  type ExpireReport,
  explainRetention,
  markBackup,
  openRepository,
  planExpiration,
  planRestore,
  readCatalog,
  type Repository,
  restoreBackup,
  type RestorePlan,
  type RestorePlanOptions,
  type RestoreReport,
  type RetentionExplanation,
  type RetentionPolicy,
  rotateKey,
  type RotateKeyReport,
  runRestoreDrill,
  verifyBackup,
  type VerifyDepth,
  type VerifyReport,
} from "@db/backup";
import type { Config } from "@db/config";
import { serverAccount } from "@db/embedded";
import { type Clock, type Database, type Logger, type Metrics, noMetrics, type OnProgress } from "@db/core";
import type { AuditTrail } from "./audit.ts";
import { startDrillCluster, withDrillPlace } from "./drill-cluster.ts";
import type { Events } from "./events.ts";
import { connectionOf } from "./pool-options.ts";

/** What every call of this service takes beside its own options. */
export interface BackupCall {
  /** Another repository than the configured one. */
  readonly repository?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How one backup is taken; what is left out is as configured. */
export interface BackupRunCall extends BackupCall, Pick<BackupOptions, "compression" | "checkpoint" | "maxRateBytes"> {}

/** What somebody wants of a backup: `keep` it until a time, `hold` it until it is released, or nothing any more. */
export interface BackupWish {
  readonly kind: "keep" | "hold" | "none";
  /** ISO 8601; only for `keep`. Default: for good. */
  readonly until?: string | undefined;
  readonly reason?: string | undefined;
}

/** Backups of the configured database in the configured repository. Whatever writes is in the audit trail. */
export interface BackupService {
  /** Where backups go, for messages. */
  readonly location: string;
  /** The configured policy. */
  readonly retention: RetentionPolicy;
  /** A backup that holds broken pages is an alert, `BACKUP-SUSPECT`, beside being a finding of the report. */
  run(call?: BackupRunCall): Promise<BackupReport>;
  catalog(call?: BackupCall): Promise<Catalog>;
  /** Newest first. */
  list(call?: BackupCall): Promise<readonly BackupInfo[]>;
  verify(
    call?: BackupCall & { readonly label?: string | undefined; readonly depth?: VerifyDepth | undefined },
  ): Promise<VerifyReport>;
  /** One complete backup. @throws {BackupNotFoundError} */
  show(label: string, call?: BackupCall): Promise<BackupInfo>;
  /** Makes a backup stay, whatever the retention says, or takes that back. @throws {BackupNotFoundError} */
  mark(label: string, mark: BackupWish, call?: BackupCall): Promise<BackupInfo>;
  /** Gives the repository another key; the configured one must be the present one. */
  rotateKey(newEncryptionKey: string, call?: BackupCall): Promise<RotateKeyReport>;
  /** @param policy another one than the configured */
  planExpiration(call?: BackupCall & { readonly policy?: RetentionPolicy | undefined }): Promise<ExpirationPlan>;
  /** Says of every object why it stays or goes, and which moments could be restored before and after. */
  explainRetention(
    call?: BackupCall & { readonly policy?: RetentionPolicy | undefined },
  ): Promise<RetentionExplanation>;
  expire(plan: ExpirationPlan, call?: BackupCall): Promise<ExpireReport>;
  planRestore(options: Omit<RestorePlanOptions, "repository">, call?: BackupCall): Promise<RestorePlan>;
  /** @param call where the plan replaces a cluster, `confirm` names its directory */
  restore(plan: RestorePlan, call?: BackupCall & { readonly confirm?: string | undefined }): Promise<RestoreReport>;
  /** Restores into a temporary cluster, starts it and, with `compare`, compares it table by table with the live one. */
  drill(
    call?: BackupCall & {
      readonly label?: string | undefined;
      readonly systemIdentifier?: string | undefined;
      readonly compare?: boolean;
    },
  ): Promise<DrillReport>;
}

export function createBackupService(options: {
  /** Asked for only when a restored cluster is compared with the live one. */
  readonly db: () => Database;
  readonly config: Config;
  readonly audit: AuditTrail;
  readonly events: Events;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly env: Readonly<Record<string, string | undefined>>;
}): BackupService {
  const { db, config, audit, events, clock, logger, metrics = noMetrics, env } = options;
  const { backup } = config;
  const open = (call: BackupCall): Promise<Repository> =>
    openRepository(call.repository ?? backup.repository, { encryptionKey: backup.encryptionKey?.reveal() });
  const job = (call: BackupCall) => ({ onProgress: call.onProgress, signal: call.signal, clock, logger, metrics });

  const { days, hourly, daily, weekly, monthly, minVerified } = backup.retention;

  const service: BackupService = {
    location: backup.repository,
    retention: { keepDays: days, tiers: { hourly, daily, weekly, monthly }, minVerified },
    run: (call = {}) =>
      audit.run(
        "backup.create",
        async () => {
          await keepOutOfGit(call.repository ?? backup.repository);
          const report = await createBackup({
            url: connectionOf(config).primaryUrl.reveal(),
            repository: await open(call),
            compression: { algorithm: backup.compression, ...call.compression },
            checkpoint: call.checkpoint,
            maxRateBytes: call.maxRateBytes,
            ...job(call),
          });
          for (const { id, severity, title } of report.findings) {
            events.emit("alert:firing", { rule: id, severity, summary: title });
          }
          return report;
        },
        ({ label, bytes, storedBytes, encrypted, status }) => ({ label, bytes, storedBytes, encrypted, status }),
      ),
    catalog: async (call = {}) => readCatalog(await open(call), { signal: call.signal }),
    list: async (call = {}) => (await service.catalog(call)).backups,
    verify: (call = {}) =>
      audit.run(
        "backup.verify",
        async () => verifyBackup({ repository: await open(call), label: call.label, depth: call.depth, ...job(call) }),
        ({ ok, depth, backups }) => ({ ok, depth, labels: backups.map(({ label }) => label) }),
      ),
    show: async (label, call = {}) => {
      const repository = await open(call);
      const found = (await readCatalog(repository, { signal: call.signal })).backups.find((b) => b.label === label);
      if (found) return found;
      throw new BackupNotFoundError(`no complete backup "${label}" in ${repository.location}`, {
        hint: "List what is there: db backup list.",
      });
    },
    mark: (label, { kind, until, reason }, call = {}) =>
      audit.run(
        "backup.mark",
        async () => {
          await markBackup(await open(call), label, { kind, until, reason, now: clock.now() });
          return service.show(label, call);
        },
        () => ({ label, kind, until: until ?? null, reason: reason ?? "" }),
      ),
    rotateKey: (newEncryptionKey, call = {}) =>
      audit.run(
        "backup.rotateKey",
        async () => rotateKey({ repository: await open(call), newEncryptionKey, ...job(call) }),
        (report) => ({ ...report }),
      ),
    planExpiration: async (call = {}) =>
      planExpiration(await service.catalog(call), call.policy ?? service.retention, clock.now()),
    explainRetention: async (call = {}) =>
      explainRetention(await service.catalog(call), call.policy ?? service.retention, clock.now()),
    expire: (plan, call = {}) =>
      audit.run(
        "backup.expire",
        async () => expireBackups({ repository: await open(call), plan, ...job(call) }),
        ({ removed, freedBytes }) => ({ removed, freedBytes }),
      ),
    planRestore: async (given, call = {}) => planRestore({ ...given, repository: await open(call) }),
    restore: (plan, call = {}) =>
      audit.run(
        "backup.restore",
        async () =>
          restoreBackup({
            repository: await open(call),
            plan,
            confirm: call.confirm,
            owner: await serverAccount(),
            ...job(call),
          }),
        ({ label, directory, bytes, durationMs }) => ({ label, directory, bytes, durationMs }),
      ),
    drill: (call = {}) =>
      audit.run(
        "backup.drill",
        () =>
          withDrillPlace(async (place) =>
            runRestoreDrill({
              ...place,
              repository: await open(call),
              label: call.label,
              systemIdentifier: call.systemIdentifier,
              compareWith: call.compare ? db() : undefined,
              startCluster: (directory, { major, signal }) => startDrillCluster(config, env, directory, major, signal),
              ...job(call),
            }),
          ),
        ({ label, ok, durationMs, recoveryMs, comparison }) => ({
          label,
          ok,
          durationMs,
          recoveryMs,
          tables: comparison?.tables.length ?? 0,
          equal: comparison?.equal ?? null,
        }),
      ),
  };
  return service;
}

// A repository may lie in a project's folder; one `git add .` must not publish a whole cluster.
async function keepOutOfGit(location: string): Promise<void> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(location)) return;
  await mkdir(location, { recursive: true, mode: 0o700 });
  await writeFile(join(location, ".gitignore"), "*\n", { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}
