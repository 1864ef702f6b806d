import { AbortedError, messageOf, sqlStateOf } from "@db/core";
import { IndexApplyError } from "./errors.ts";

/** The server's refusal, with what to do about the likely ones. `left` says what had to be left behind. */
export function applyError(name: string, error: unknown, left: string = ""): IndexApplyError {
  const state = sqlStateOf(error);
  const hints: Readonly<Record<string, string>> = {
    "23505": "The table holds duplicates: remove them, or make the index without unique.",
    "25001": "Call this outside a transaction.",
    "42501": "Use the owner of the table, or a superuser for the extension.",
    "53100": "Free disk space: an index needs its own size, and as much again while it is sorted.",
    "2BP01": "A constraint or another object needs it: drop that instead.",
  };
  return new IndexApplyError(`index ${name}: ${messageOf(error)}${left}`, {
    cause: error,
    hint: hints[state ?? ""] ?? "Read the server's message.",
  });
}

/** The work was told to stop. `left` says what had to be left behind. */
export function aborted(signal: AbortSignal, left: string = ""): AbortedError {
  return new AbortedError(`the work on the index was aborted${left}`, { cause: signal.reason });
}
