import { type BackupMetadata, backupMetadata } from "../backup-metadata.ts";
import { LegacyOptionError } from "../errors.ts";
import { adoptDefaults, createHost, processHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { learningDefaults } from "./defaults.ts";

export interface FullBackupOptions {
  /** Default: what `BACKUP_COMPRESSION` says. */
  readonly compression?: boolean;
  /** `true` insists on a key in `BACKUP_ENCRYPTION_KEY`; where there is a key, every backup is encrypted. */
  readonly encryption?: boolean;
}

/**
 * Takes a full backup into the configured repository.
 * @throws {LegacyOptionError} when encryption is asked for and there is no key; as `orchestrator.backups.run()`
 */
export async function createFullBackup(options: FullBackupOptions = {}): Promise<BackupMetadata> {
  recordUse("createFullBackup");
  adoptDefaults(learningDefaults);
  const { backup } = processHost.config;
  if (options.encryption === true && backup.encryptionKey === undefined) {
    throw new LegacyOptionError("an encrypted backup was asked for, and there is no key", {
      hint: "Set BACKUP_ENCRYPTION_KEY, or BACKUP_ENCRYPTION_KEY_FILE.",
    });
  }
  const isCompressed = backup.compression !== "none";
  if (options.compression === undefined || options.compression === isCompressed) {
    const { backups } = processHost.orchestrator;
    return backupMetadata(await backups.run(), backups.location);
  }
  const other = createHost({ "backup.compression": options.compression ? "gzip" : "none" });
  try {
    const { backups } = other.orchestrator;
    return backupMetadata(await backups.run(), backups.location);
  } finally {
    await other.close();
  }
}
