import type { ErrorClass } from "./classify.ts";

/** A statement failed, with what its failure means. The pool unwraps it before anything leaves the package. */
export class StatementFailure extends Error {
  readonly error: unknown;
  readonly verdict: ErrorClass;
  constructor(error: unknown, verdict: ErrorClass) {
    super("a statement failed");
    this.error = error;
    this.verdict = verdict;
  }
}

/** The error underneath, as it leaves the package. */
export function unwrapFailure(error: unknown): unknown {
  return error instanceof StatementFailure ? error.error : error;
}
