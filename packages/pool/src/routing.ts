import type { Balanced, Balancer } from "./balance.ts";
import type { Lag } from "./lag.ts";

/** Where work is sent: to the primary, to a replica, or to whichever server is least busy. */
export type Target = "primary" | "replica" | "any";

/** What routing looks at; a `Server` is one. */
export interface Candidate extends Balanced {
  readonly role: "primary" | "standby" | "unknown";
  readonly state: "up" | "suspect" | "down" | "refused";
  readonly lag: Lag | undefined;
  readonly breaker: { readonly state: "closed" | "half-open" | "open" | "off" };
}

/** How far behind a replica may be. */
export interface LagLimits {
  readonly maxReplicaLagMs: number;
  readonly maxReplicaLagBytes: number;
}

/** Why a standby may not serve reads now; undefined when it may. A lag nobody could measure is no reason. */
export function unfitness(candidate: Candidate, limits: LagLimits): string | undefined {
  const { role, state, lag, breaker } = candidate;
  if (role !== "standby") return role === "primary" ? "is a primary" : "its role is not known yet";
  if (state !== "up") return state === "suspect" ? "left its last probe unanswered" : `is ${state}`;
  if (candidate.weight === 0) return "it is to serve no reads";
  if (breaker.state === "open") return "its circuit is open";
  if (lag && lag.lagMs > limits.maxReplicaLagMs) return `lags ${Math.round(lag.lagMs)} ms`;
  if (lag && lag.lagBytes > limits.maxReplicaLagBytes) return `lags ${lag.lagBytes} bytes`;
  return undefined;
}

/**
 * Chooses the replica for a read. When none is fit, one that merely missed a probe or whose circuit is open serves as
 * a last resort, if `lastResort` says so: refusing every read because all seem ill helps nobody.
 */
export function chooseReplica<C extends Candidate>(
  candidates: readonly C[],
  limits: LagLimits,
  lastResort: boolean,
  balance: Balancer,
): C | undefined {
  const fit = candidates.filter((candidate) => unfitness(candidate, limits) === undefined);
  if (fit.length > 0 || !lastResort) return balance(fit);
  return balance(
    candidates.filter(
      ({ role, state, weight }) => role === "standby" && weight > 0 && state !== "refused" && state !== "down",
    ),
  );
}
