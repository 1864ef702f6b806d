import type { ErrorClass } from "./classify.ts";

/** A statement failed, with what its failure means. The pool unwraps it before anything leaves the package. */
export class StatementFailure extends Error {
  readonly error: unknown;
  readonly verdict: ErrorClass;
  /** True when it failed for the failure of another statement on the same connection: one fault, counted once. */
  readonly secondary: boolean;
  constructor(error: unknown, verdict: ErrorClass, secondary = false) {
    super("a statement failed");
    this.error = error;
    this.verdict = verdict;
    this.secondary = secondary;
  }
}

/** The error underneath, as it leaves the package. */
export function unwrapFailure(error: unknown): unknown {
  return error instanceof StatementFailure ? error.error : error;
}
