import { DbError, formatDuration } from "@db/core";

/** The command line itself is wrong: unknown command or flag, missing argument. */
export class UsageError extends DbError {
  override readonly code = "CLI_USAGE";
}

/** A destructive command was not confirmed; nothing was changed. */
export class NotConfirmedError extends DbError {
  override readonly code = "CLI_NOT_CONFIRMED";
}

/** The database that a command is about cannot be connected to. */
export class CannotConnectError extends DbError {
  override readonly code = "CLI_CANNOT_CONNECT";
}

/** The command cannot be done with this server: too old, or in recovery. */
export class UnsuitableServerError extends DbError {
  override readonly code = "CLI_UNSUITABLE_SERVER";
}

/** `--timeout` ran out. */
export class CommandTimeoutError extends DbError {
  override readonly code = "CLI_TIMEOUT";
  override readonly retryable = true;

  constructor(ms: number) {
    super(`the command did not end within ${formatDuration(ms)}`, {
      hint: "Give it longer with --timeout; what it had begun was rolled back or can be resumed.",
    });
  }
}

/** Ctrl-C or another signal came before the command ended. */
export class InterruptedError extends DbError {
  override readonly code = "CLI_INTERRUPTED";

  constructor(signal: string) {
    super(`interrupted by ${signal}`, { hint: "Run it again: what it had begun was rolled back or can be resumed." });
  }
}

/** A WAL file was not stored or not brought back; the message says why. The caller keeps it, or stops. */
export class WalFileError extends DbError {
  override readonly code = "CLI_WAL_FILE";
  override readonly retryable = true;
}
