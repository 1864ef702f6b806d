import type { Config } from "@db/config";
import { isDbError, type Logger, messageOf, noLogger, type OnProgress, redactUrls } from "@db/core";
import { createPool } from "@db/pool";
import { poolOptionsOf } from "../pool-options.ts";
import { observeBreaker, observeHealth, observeRetry } from "./fault-observations.ts";
import { observeKeepAlive, observeReplicaReads, observeSlowQuery } from "./live-observations.ts";
import type { Observed, RecommendationName, RecommendationProof, Subject } from "./recommendation.ts";

export interface VerifyOptions {
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

const observations: readonly (readonly [RecommendationName, string, (of: Subject) => Promise<Observed>])[] = [
  ["circuit-breaker", "Circuit breaker", observeBreaker],
  ["health-monitoring", "Health monitoring", observeHealth],
  ["automatic-retry", "Automatic retry", observeRetry],
  ["keep-alive", "Keep-alive", observeKeepAlive],
  ["slow-query-detection", "Slow-query detection", observeSlowQuery],
  ["read-write-splitting", "Read/write splitting", observeReplicaReads],
];

/**
 * Proves that the six recommendations are in force with a configuration, each by making it necessary and watching it
 * happen: on pools of its own, with faults made in this process. It reads from the database and changes nothing there.
 * Takes about the time of the slow-query threshold, and up to a minute where something is missing.
 * @throws when the primary cannot be reached at all @throws {NotConfiguredError}
 */
export async function verifyRecommendations(
  config: Config,
  { logger = noLogger, signal = new AbortController().signal, onProgress }: VerifyOptions = {},
): Promise<readonly RecommendationProof[]> {
  const subject: Subject = { config, logger, signal };
  {
    // What cannot be reached can prove nothing, and the error says why better than six refutations.
    await using pool = createPool({ ...poolOptionsOf(config, logger), min: 0, retry: false });
    await pool.query("select 1", [], { signal });
  }
  const proofs: RecommendationProof[] = [];
  for (const [name, title, observe] of observations) {
    signal.throwIfAborted();
    onProgress?.({
      phase: "verify",
      current: proofs.length,
      total: observations.length,
      unit: "steps",
      message: title,
    });
    const startedAt = performance.now();
    const observed = await observe(subject).catch((error: unknown): Observed => {
      if (signal.aborted || isDbError(error, "ORCHESTRATOR_NOT_CONFIGURED")) throw error;
      return { verdict: "refuted", seen: `the check itself failed: ${redactUrls(messageOf(error))}` };
    });
    proofs.push({ name, title, ...observed, durationMs: Math.round(performance.now() - startedAt) });
  }
  return proofs;
}
