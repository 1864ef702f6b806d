import type { Config } from "@db/config";
import type { Finding, Logger } from "@db/core";

export type RecommendationName =
  | "circuit-breaker"
  | "health-monitoring"
  | "automatic-retry"
  | "keep-alive"
  | "slow-query-detection"
  | "read-write-splitting";

/**
 * `proved`: it was seen to happen. `refuted`: it was to happen and did not. `unobserved`: here it cannot be seen, and
 * nothing is claimed.
 */
export type Verdict = "proved" | "refuted" | "unobserved";

/** What an observation brought. */
export interface Observed {
  readonly verdict: Verdict;
  /** One sentence on what was seen. */
  readonly seen: string;
  /** What to do, unless it is proved. */
  readonly hint?: string;
  /** Numbers behind the sentence, units in their names. */
  readonly facts?: Readonly<Record<string, number | string | boolean>>;
}

/** One recommendation and what was seen of it. */
export interface RecommendationProof extends Observed {
  readonly name: RecommendationName;
  readonly title: string;
  readonly durationMs: number;
}

/** What an observation works with. */
export interface Subject {
  readonly config: Config;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** The proofs as findings: what is refuted is critical, what could not be seen a warning. */
export function findingsOfProofs(proofs: readonly RecommendationProof[]): readonly Finding[] {
  return proofs.flatMap(({ name, title, verdict, seen, hint }) =>
    verdict === "proved"
      ? []
      : [
          {
            id: `VERIFY-${name.toUpperCase()}`,
            severity: verdict === "refuted" ? ("critical" as const) : ("warn" as const),
            title: `${title}: ${seen}`,
            ...(hint === undefined ? {} : { hint }),
          },
        ],
  );
}
