import { DbError, type DbErrorOptions } from "@db/core";

/** Options that contradict each other or lie outside their bounds; every problem is in the message. */
export class InvalidBackupOptionsError extends DbError {
  override readonly code = "BACKUP_INVALID_OPTIONS";
}

/** Why a server does not let this role take a physical backup. */
export type ReplicationRefusal = "role" | "pg_hba" | "wal_senders";

/** The server refuses a replication connection; the hint holds the exact line or statement that allows it. */
export class ReplicationRefusedError extends DbError {
  override readonly code = "BACKUP_REPLICATION_REFUSED";
  readonly reason: ReplicationRefusal;
  constructor(reason: ReplicationRefusal, message: string, options: DbErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The server is older than PostgreSQL 12, or no PostgreSQL at all. */
export class UnsupportedServerError extends DbError {
  override readonly code = "BACKUP_UNSUPPORTED_SERVER";
}

/** Another backup of the same cluster is running. */
export class BackupInProgressError extends DbError {
  override readonly code = "BACKUP_IN_PROGRESS";
  override readonly retryable = true;
}

/** The server sent bytes that are no valid answer in the replication protocol. */
export class ReplicationProtocolError extends DbError {
  override readonly code = "BACKUP_PROTOCOL";
}

/** The connection to the server was lost or never made. What was stored so far is not a backup and is invisible. */
export class BackupConnectionError extends DbError {
  override readonly code = "BACKUP_CONNECTION";
  override readonly retryable = true;
}

/** The server ended a replication command with an error. */
export class ReplicationServerError extends DbError {
  override readonly code = "BACKUP_SERVER";
  /** The five-character SQLSTATE the server gave. */
  readonly sqlState: string;
  constructor(sqlState: string, message: string, options: DbErrorOptions = {}) {
    super(message, options);
    this.sqlState = sqlState;
  }
}

/** The WAL a backup needs is not there: the server removed it, or the stream jumped. */
export class WalGapError extends DbError {
  override readonly code = "BACKUP_WAL_GAP";
}

/** A WAL file is refused: it is of another cluster, of another name, or no WAL at all. It was not stored. */
export class WalRejectedError extends DbError {
  override readonly code = "BACKUP_WAL_REJECTED";
}

/** The repository holds a WAL file of this name with other content. It is never overwritten. */
export class WalConflictError extends DbError {
  override readonly code = "BACKUP_WAL_CONFLICT";
}

/** The server is another cluster than before: its system identifier changed. */
export class ClusterChangedError extends DbError {
  override readonly code = "BACKUP_CLUSTER_CHANGED";
}

/** The spool's disk refused a write; the WAL stays on the server. */
export class SpoolError extends DbError {
  override readonly code = "BACKUP_SPOOL";
  override readonly retryable = true;
}

/** Somebody else does something in this repository that excludes this. */
export class RepositoryBusyError extends DbError {
  override readonly code = "BACKUP_REPOSITORY_BUSY";
  override readonly retryable = true;
}

/** What the server said it sent and what arrived differ. */
export class ManifestMismatchError extends DbError {
  override readonly code = "BACKUP_MANIFEST_MISMATCH";
}

/** A stored object is missing, cut, changed or swapped. */
export class CorruptObjectError extends DbError {
  override readonly code = "BACKUP_CORRUPT";
  /** The object's key in the repository. */
  readonly object: string;
  constructor(object: string, problem: string, options: DbErrorOptions = {}) {
    super(`${object}: ${problem}`, {
      hint: "Restore another backup, and copy this repository from its replica if there is one.",
      ...options,
    });
    this.object = object;
  }
}

/** The encryption key given is not the one this repository was written with. */
export class WrongKeyError extends DbError {
  override readonly code = "BACKUP_WRONG_KEY";
}

/** The repository is encrypted and no key was given, or the other way round. */
export class MissingKeyError extends DbError {
  override readonly code = "BACKUP_MISSING_KEY";
}

/** The encryption key given is too weak or malformed. */
export class InvalidKeyError extends DbError {
  override readonly code = "BACKUP_INVALID_KEY";
}

/** A file name, in an archive or in the repository, that leaves its directory. */
export class UnsafePathError extends DbError {
  override readonly code = "BACKUP_UNSAFE_PATH";
}

/** The repository's location names a storage this installation cannot open. */
export class UnsupportedLocationError extends DbError {
  override readonly code = "BACKUP_UNSUPPORTED_LOCATION";
}

/** The storage under the repository refused a read or a write. */
export class StorageError extends DbError {
  override readonly code = "BACKUP_STORAGE";
}

/** A thread that compresses and encrypts, or opens again, ended before its work was done. */
export class ThreadsEndedError extends DbError {
  override readonly code = "BACKUP_THREADS_ENDED";
  override readonly retryable = true;
}

/** An object that must not be overwritten is already there. */
export class ObjectExistsError extends DbError {
  override readonly code = "BACKUP_OBJECT_EXISTS";
}

/** An object that is not there. */
export class ObjectNotFoundError extends DbError {
  override readonly code = "BACKUP_OBJECT_NOT_FOUND";
}

/** No complete backup matches. */
export class BackupNotFoundError extends DbError {
  override readonly code = "BACKUP_NOT_FOUND";
}

/** A restore would write into a directory that holds something. */
export class DirectoryNotEmptyError extends DbError {
  override readonly code = "BACKUP_DIRECTORY_NOT_EMPTY";
}

/** The server that shall run the restored files is of another major version than the one that wrote them. */
export class WrongMajorVersionError extends DbError {
  override readonly code = "BACKUP_WRONG_MAJOR";
}

/** A recovery target that is malformed, ambiguous or contradicts itself. */
export class InvalidRecoveryTargetError extends DbError {
  override readonly code = "BACKUP_INVALID_TARGET";
}

/** A recovery target before the backup's end, or beyond the last WAL of the repository. */
export class TargetUnreachableError extends DbError {
  override readonly code = "BACKUP_TARGET_UNREACHABLE";
}

/** What a plan was made from has changed since. */
export class PlanOutdatedError extends DbError {
  override readonly code = "BACKUP_PLAN_OUTDATED";
}

/** pg_dump or pg_restore new enough for the server is not on this machine; the hint says what to install. */
export class ClientMissingError extends DbError {
  override readonly code = "BACKUP_CLIENT_MISSING";
}

/** pg_dump or pg_restore ended with an error; the message has its own words. */
export class DumpFailedError extends DbError {
  override readonly code = "BACKUP_DUMP_FAILED";
}

/** The database a dump would be restored into holds tables already. */
export class DatabaseNotEmptyError extends DbError {
  override readonly code = "BACKUP_DATABASE_NOT_EMPTY";
}

/** The target server lacks roles that own something in the dump. */
export class MissingRolesError extends DbError {
  override readonly code = "BACKUP_MISSING_ROLES";
  readonly roles: readonly string[];
  constructor(roles: readonly string[], message: string, options: DbErrorOptions) {
    super(message, options);
    this.roles = roles;
  }
}

/** A restore would replace a cluster, and its name was not given. Nothing was changed. */
export class NotConfirmedError extends DbError {
  override readonly code = "BACKUP_NOT_CONFIRMED";
}
