import { DbError } from "@db/core";

/** Something was asked of a service before it was given what it needs. */
export class LegacyNotInitializedError extends DbError {
  override readonly code = "LEGACY_NOT_INITIALIZED";
}

/** The services were shut down, and something was asked of them. */
export class LegacyShutDownError extends DbError {
  override readonly code = "LEGACY_SHUT_DOWN";

  constructor() {
    super("the database services were shut down", {
      hint: "Initialise them again, or stop the callers before shutting down.",
    });
  }
}

/** What may exist once was to be made a second time. */
export class LegacyAlreadyExistsError extends DbError {
  override readonly code = "LEGACY_ALREADY_EXISTS";
}

/** An option of an old name that cannot be honoured as it stands. */
export class LegacyOptionError extends DbError {
  override readonly code = "LEGACY_OPTION";
}

/** The circuit of `DatabaseService` is open: nothing was run. */
export class LegacyCircuitOpenError extends DbError {
  override readonly code = "LEGACY_CIRCUIT_OPEN";
  override readonly retryable = true;

  constructor(operation: string, cause: unknown) {
    super(`circuit breaker is open: ${operation} was not run`, {
      cause,
      hint: "Look at the cause; after a pause one attempt is let through.",
    });
  }
}

/** An old name stands on a library that is not installed. */
export class LegacyMissingPeerError extends DbError {
  override readonly code = "LEGACY_MISSING_PEER";

  constructor(name: string, library: string, cause: unknown) {
    super(`${name} needs ${library}, which cannot be loaded`, {
      cause,
      hint: `Install it beside @db/legacy-compat: pnpm add ${library}`,
    });
  }
}

/** Something was asked of the request in progress, and there is none. */
export class LegacyNoRequestError extends DbError {
  override readonly code = "LEGACY_NO_REQUEST";

  constructor() {
    super("no request is in progress here", { hint: "Put the requestContext() middleware before this handler." });
  }
}
