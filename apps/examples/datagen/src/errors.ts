import { DbError } from "@db/core";

/** The example's tables hold rows that no generator put there, or a load of other size. Nothing was changed. */
export class DatasetConflictError extends DbError {
  override readonly code = "EXAMPLE_DATASET_CONFLICT";
}

/** A seed or a scale no generator accepts. */
export class InvalidDatasetOptionError extends DbError {
  override readonly code = "EXAMPLE_INVALID_OPTION";
}
