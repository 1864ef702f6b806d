const brand: unique symbol = Symbol.for("@db/core/DbError") as never;

/** What every error of the house can carry beside its message. */
export interface DbErrorOptions {
  /** The error underneath, kept whole. */
  readonly cause?: unknown;
  /** One imperative sentence an operator can act on. */
  readonly hint?: string;
}

/** Base of every error the house throws. `code` is API; `message` is not. */
export abstract class DbError extends Error {
  abstract readonly code: string;
  /** One sentence an operator can act on. */
  readonly hint: string | undefined;
  /** True when the same call may succeed unchanged a moment later. */
  readonly retryable: boolean = false;

  constructor(message: string, options: DbErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.hint = options.hint;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Guard that survives two copies of this package in one process. */
export function isDbError(value: unknown, code?: string): value is DbError {
  const error = value as Partial<DbError> & { [brand]?: true };
  return value instanceof Error && error[brand] === true && (code === undefined || error.code === code);
}

/** The work was told to stop: an `AbortSignal` fired or a bound ran out before it ended. */
export class AbortedError extends DbError {
  override readonly code = "CORE_ABORTED";
}

/** The message of anything thrown, for a log line or a report. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
