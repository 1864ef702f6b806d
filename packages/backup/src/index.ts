// Take
export { type BackupReport, createBackup } from "./backup.ts";
export { backupDefaults, type BackupOptions, type JobOptions } from "./options.ts";

// Repository
export {
  openRepository,
  type Repository,
  type RepositoryIdentity,
  type RepositoryOptions,
} from "./repository/repository.ts";
export { localStorage } from "./repository/local-storage.ts";
export type { ObjectWriter, ReadOptions, Storage, StoredObject, WriteOptions } from "./repository/storage.ts";
export type { Compression } from "./repository/sealed-object.ts";

export { rotateKey, type RotateKeyOptions, type RotateKeyReport } from "./rotate-key.ts";

// List, judge, verify
export {
  type Catalog,
  listBackups,
  markBackup,
  readCatalog,
  type UnusableBackup,
  type WalHoldings,
} from "./catalog.ts";
export { evaluateBackups, type FreshnessLimits } from "./freshness.ts";
export {
  type BackupInfo,
  type BackupMark,
  type BackupStatus,
  type BackupTablespace,
  type BackupType,
  formatServerVersion,
} from "./manifest.ts";
export { verifyBackup, type VerifyDepth, type VerifyOptions, type VerifyReport } from "./verify.ts";

// WAL
export type { WalRecord } from "./wal/archive.ts";
export { runWalCommand, type WalCommandInput } from "./wal/command.ts";
export {
  startWalDaemon,
  type WalAnswer,
  type WalDaemon,
  type WalDaemonOptions,
  type WalRequest,
} from "./wal/daemon.ts";
export { evaluateWal, findWalHoles, type WalHole, type WalLimits } from "./wal/evaluation.ts";
export { walDone, walFetchFailed, walNotThere, walPushFailed } from "./wal/exit-code.ts";
export { walFetch, type WalFetchOptions, type WalFetchReport } from "./wal/fetch.ts";
export { listWal, type WalGap, type WalListing, type WalPosition } from "./wal/listing.ts";
export { walPush, type WalPushOptions, type WalPushReport } from "./wal/push.ts";
export { createWalReceiver, type WalReceiver } from "./wal/receiver.ts";
export type { WalReceiverOptions } from "./wal/receiver-options.ts";
export type { WalReceiverStatus } from "./wal/receiver-status.ts";
export { verifyWal, type WalVerifyOptions, type WalVerifyReport } from "./wal/verification.ts";

// Restore
export type { RecoveryAction, RecoveryTarget } from "./recovery-target.ts";
export { restoreBackup, type RestoreOptions, type RestoreReport } from "./restore.ts";
export {
  describeRestorePlan,
  type PlannedReplacement,
  type PlannedTablespace,
  planRestore,
  type RestorePlan,
  type RestorePlanOptions,
} from "./restore-plan.ts";
export type { PlannedSegment, RecoveryTimeline } from "./wal-inventory.ts";

// Prove
export { compareDatabases, type ComparisonReport, type SequenceComparison, type TableComparison } from "./compare.ts";
export { type DrillCluster, type DrillOptions, type DrillReport, runRestoreDrill } from "./drill.ts";

// Let go
export { expireBackups, type ExpireOptions, type ExpireReport } from "./expire.ts";
export {
  explainRetention,
  type RecoveryWindow,
  type RetainedObject,
  type RetentionExplanation,
} from "./retention-explanation.ts";
export {
  type ExpirationPlan,
  type ExpiredBackup,
  type KeptBackup,
  planExpiration,
  type RetentionPolicy,
  type WalExpiration,
} from "./retention.ts";

// Dump
export { createDump, type DumpOptions, type DumpReport } from "./logical/create-dump.ts";
export { type DumpCatalog, findDump, markDump, readDumpCatalog, type UnusableDump } from "./logical/dump-catalog.ts";
export type { DumpClient } from "./logical/dump-client.ts";
export type { DumpInfo } from "./logical/dump-manifest.ts";
export {
  type DumpExpirationPlan,
  expireDumps,
  type ExpireDumpsReport,
  planDumpExpiration,
} from "./logical/expire-dumps.ts";
export {
  type DumpRestoreOptions,
  type DumpRestorePlan,
  type DumpRestorePlanOptions,
  type DumpRestoreReport,
  planDumpRestore,
  restoreDump,
} from "./logical/restore-dump.ts";
export { verifyDump, type VerifyDumpOptions, type VerifyDumpReport } from "./logical/verify-dump.ts";

export {
  BackupConnectionError,
  BackupInProgressError,
  BackupNotFoundError,
  ClientMissingError,
  ClusterChangedError,
  CorruptObjectError,
  DatabaseNotEmptyError,
  DirectoryNotEmptyError,
  DumpFailedError,
  InvalidBackupOptionsError,
  InvalidKeyError,
  InvalidRecoveryTargetError,
  ManifestMismatchError,
  MissingKeyError,
  MissingRolesError,
  NotConfirmedError,
  ObjectExistsError,
  ObjectNotFoundError,
  PlanOutdatedError,
  ReplicationProtocolError,
  type ReplicationRefusal,
  ReplicationRefusedError,
  ReplicationServerError,
  RepositoryBusyError,
  SpoolError,
  StorageError,
  TargetUnreachableError,
  ThreadsEndedError,
  UnsafePathError,
  UnsupportedLocationError,
  UnsupportedServerError,
  WalConflictError,
  WalGapError,
  WalRejectedError,
  WrongKeyError,
  WrongMajorVersionError,
} from "./errors.ts";
