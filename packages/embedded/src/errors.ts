import { DbError } from "@db/core";

/** No usable PostgreSQL server was found. */
export class BinariesNotFoundError extends DbError {
  override readonly code = "EMBEDDED_BINARIES_NOT_FOUND";
  /** Every place looked at and what was wrong with it, in the order of the search. */
  readonly searched: readonly string[];

  constructor(message: string, options: { readonly searched: readonly string[]; readonly hint: string }) {
    super(message, { hint: options.hint });
    this.searched = options.searched;
  }
}

/** A PostgreSQL of the wanted version could not be fetched. */
export class BinariesInstallError extends DbError {
  override readonly code = "EMBEDDED_INSTALL_FAILED";
  override readonly retryable = true;
}

/** The process is root, PostgreSQL refuses root, and there is no other account to run it as. */
export class AccountError extends DbError {
  override readonly code = "EMBEDDED_ACCOUNT";
}

/** A directory cannot be used for data: not writable, not reachable by the server's account, or something else. */
export class DirectoryError extends DbError {
  override readonly code = "EMBEDDED_DIRECTORY";
}

/** The data directory was made by another major version than the one wanted. */
export class DataVersionMismatchError extends DbError {
  override readonly code = "EMBEDDED_DATA_VERSION";
  readonly dataMajor: number;
  readonly wantedMajor: number;

  constructor(message: string, options: { readonly dataMajor: number; readonly wantedMajor: number; hint: string }) {
    super(message, { hint: options.hint });
    this.dataMajor = options.dataMajor;
    this.wantedMajor = options.wantedMajor;
  }
}

/** Another live process has this directory open. */
export class DirectoryInUseError extends DbError {
  override readonly code = "EMBEDDED_IN_USE";
  override readonly retryable = true;
  /** The process that holds it; undefined when it could not be told. */
  readonly pid: number | undefined;

  constructor(message: string, options: { readonly pid: number | undefined; readonly hint: string }) {
    super(message, { hint: options.hint });
    this.pid = options.pid;
  }
}

/** No TCP port of the loopback address could be bound. */
export class NoFreePortError extends DbError {
  override readonly code = "EMBEDDED_NO_PORT";
  override readonly retryable = true;
}

/** A server program (initdb, postgres) failed or did not become ready. */
export class ClusterError extends DbError {
  override readonly code = "EMBEDDED_CLUSTER_FAILED";
  /** The last lines the server or program wrote. */
  readonly log: string;

  constructor(message: string, options: { readonly log?: string; readonly hint?: string; readonly cause?: unknown }) {
    const { log = "", ...rest } = options;
    super(message, rest);
    this.log = log;
  }
}
