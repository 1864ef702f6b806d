import { DbError } from "@db/core";

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
