import { DbError } from "@db/core";

/** The command line itself is wrong: unknown command or flag, missing argument. */
export class UsageError extends DbError {
  override readonly code = "CLI_USAGE";
}

/** A destructive command was not confirmed; nothing was changed. */
export class NotConfirmedError extends DbError {
  override readonly code = "CLI_NOT_CONFIRMED";
}
