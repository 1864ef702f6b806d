import { DbError } from "@db/core";

/** Options or definitions that contradict themselves or the database; every problem is named. */
export class InvalidIndexError extends DbError {
  override readonly code = "INDEX_INVALID_DEFINITION";
}

/** The server is one on which no index can be made or dropped: a standby, or a database open for reading only. */
export class IndexReadOnlyError extends DbError {
  override readonly code = "INDEX_READ_ONLY";
}

/** An index of that name is there and is another one. */
export class IndexNameTakenError extends DbError {
  override readonly code = "INDEX_NAME_TAKEN";
}

/** The table stayed locked through every attempt. The message says when an invalid index had to be left. */
export class IndexLockTimeoutError extends DbError {
  override readonly code = "INDEX_LOCK_TIMEOUT";
  override readonly retryable = true;
}

/** Somebody else is making or dropping an index through this package right now. */
export class IndexBusyError extends DbError {
  override readonly code = "INDEX_BUSY";
  override readonly retryable = true;
}

/** The server refused to make or drop the index. The message says when an invalid index had to be left. */
export class IndexApplyError extends DbError {
  override readonly code = "INDEX_APPLY_FAILED";
}

/** The query to measure is not one that only reads. */
export class UnmeasurableQueryError extends DbError {
  override readonly code = "INDEX_UNMEASURABLE_QUERY";
}
