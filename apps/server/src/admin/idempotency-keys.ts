import { hashOf } from "../scope.ts";

const mostKept = 1_000;

/** What an execution under a key came to. */
export type Repeated =
  /** The job it started. */
  | { readonly job: string }
  /** It is being started. */
  | "starting"
  /** The key was used for something else. */
  | "another";

/** Keys by which a caller repeats an execution without doing it twice. */
export interface IdempotencyKeys {
  /** @returns undefined for a key that is new; it is taken then */
  take(name: string, request: unknown): Repeated | undefined;
  /** Says which job it started. */
  started(name: string, job: string): void;
  /** Gives a key back: nothing was started under it. */
  giveBack(name: string): void;
}

/** The last 1,000 keys. @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
export function createIdempotencyKeys(): IdempotencyKeys {
  const kept = new Map<string, { readonly request: string; job: string | undefined }>();
  return {
    take(name, request) {
      const hash = hashOf(JSON.stringify(request)).toString("hex");
      const before = kept.get(name);
      if (before) {
        if (before.request !== hash) return "another";
        return before.job === undefined ? "starting" : { job: before.job };
      }
      kept.set(name, { request: hash, job: undefined });
      for (const oldest of kept.keys()) {
        if (kept.size <= mostKept) break;
        kept.delete(oldest);
      }
      return undefined;
    },
    started(name, job) {
      const entry = kept.get(name);
      if (entry) entry.job = job;
    },
    giveBack: (name) => void kept.delete(name),
  };
}
