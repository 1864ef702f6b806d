import {
  createDump,
  type DumpCatalog,
  type DumpExpirationPlan,
  type DumpInfo,
  type DumpReport,
  type DumpRestorePlan,
  type DumpRestoreReport,
  expireDumps,
  type ExpireDumpsReport,
  findDump,
  markDump,
  openRepository,
  planDumpExpiration,
  planDumpRestore,
  readDumpCatalog,
  type Repository,
  restoreDump,
  type RetentionPolicy,
  verifyDump,
  type VerifyDepth,
  type VerifyDumpReport,
} from "@db/backup";
import type { Config } from "@db/config";
import type { Clock, Logger } from "@db/core";
import { findBinaries } from "@db/embedded";
import type { AuditTrail } from "./audit.ts";
import type { BackupCall, BackupWish } from "./backup-service.ts";
import { connectionOf } from "./pool-options.ts";

/** Logical dumps of the configured database, in the same repository as its backups. Whatever writes is audited. */
export interface DumpService {
  run(call?: BackupCall & { readonly jobs?: number | undefined }): Promise<DumpReport>;
  catalog(call?: BackupCall): Promise<DumpCatalog>;
  show(label: string, call?: BackupCall): Promise<DumpInfo>;
  verify(label: string, call?: BackupCall & { readonly depth?: VerifyDepth | undefined }): Promise<VerifyDumpReport>;
  mark(label: string, mark: BackupWish, call?: BackupCall): Promise<DumpInfo>;
  planExpiration(policy: RetentionPolicy, call?: BackupCall): Promise<DumpExpirationPlan>;
  expire(plan: DumpExpirationPlan, call?: BackupCall): Promise<ExpireDumpsReport>;
  /** Plans the restore into a database of the configured server. */
  planRestore(
    options: { readonly label: string; readonly database: string; readonly owners?: boolean | undefined },
    call?: BackupCall,
  ): Promise<DumpRestorePlan>;
  restore(
    plan: DumpRestorePlan,
    call?: BackupCall & { readonly jobs?: number | undefined },
  ): Promise<DumpRestoreReport>;
}

/** True for the label of a dump; those of physical backups end otherwise. */
export function isDumpLabel(label: string): boolean {
  return /^\d{8}-\d{6}L$/.test(label);
}

export function createDumpService(options: {
  readonly config: Config;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}): DumpService {
  const { config, audit, clock, logger, env } = options;
  const { backup } = config;
  const open = (call: BackupCall): Promise<Repository> =>
    openRepository(call.repository ?? backup.repository, { encryptionKey: backup.encryptionKey?.reveal() });
  const job = (call: BackupCall) => ({ onProgress: call.onProgress, signal: call.signal, clock, logger });
  const clients = () => findBinaries(env["PATH"] === undefined ? {} : { path: env["PATH"] });
  const url = (): string => connectionOf(config).primaryUrl.reveal();

  const service: DumpService = {
    run: (call = {}) =>
      audit.run(
        "dump.create",
        async () =>
          createDump({
            url: url(),
            repository: await open(call),
            clients: await clients(),
            jobs: call.jobs,
            compression: { algorithm: backup.compression },
            ...job(call),
          }),
        ({ label, database, bytes, storedBytes, encrypted }) => ({ label, database, bytes, storedBytes, encrypted }),
      ),
    catalog: async (call = {}) => readDumpCatalog(await open(call), { signal: call.signal }),
    show: async (label, call = {}) => findDump(await open(call), label),
    verify: (label, call = {}) =>
      audit.run(
        "dump.verify",
        async () => verifyDump({ repository: await open(call), label, depth: call.depth, ...job(call) }),
        ({ ok, depth }) => ({ ok, depth, label }),
      ),
    mark: (label, { kind, until, reason }, call = {}) =>
      audit.run(
        "dump.mark",
        async () => {
          await markDump(await open(call), label, { kind, until, reason, now: clock.now() });
          return service.show(label, call);
        },
        () => ({ label, kind, until: until ?? null, reason: reason ?? "" }),
      ),
    planExpiration: async (policy, call = {}) => planDumpExpiration(await service.catalog(call), policy, clock.now()),
    expire: (plan, call = {}) =>
      audit.run(
        "dump.expire",
        async () => expireDumps({ repository: await open(call), plan, ...job(call) }),
        ({ removed, freedBytes }) => ({ removed, freedBytes }),
      ),
    planRestore: async (given, call = {}) =>
      planDumpRestore({ ...given, url: url(), repository: await open(call), clients: await clients() }),
    restore: (plan, call = {}) =>
      audit.run(
        "dump.restore",
        async () => restoreDump({ repository: await open(call), plan, url: url(), jobs: call.jobs, ...job(call) }),
        (report) => ({ ...report }),
      ),
  };
  return service;
}
