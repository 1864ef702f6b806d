/** What a probe saw of one server. */
export interface Observation {
  /** When the answer came, milliseconds since the epoch. */
  readonly at: number;
  /** How long the probe took. */
  readonly tookMs: number;
  readonly inRecovery: boolean;
  /** True when sessions there may not write by default. */
  readonly readOnly: boolean;
  /** `160004` for 16.4. */
  readonly serverVersion: number;
  /** The cluster's identity, shared by a primary and its standbys; undefined where the server does not tell. */
  readonly systemIdentifier: string | undefined;
  /** The history branch; a promotion begins a new one. */
  readonly timeline: number | undefined;
  /** On a primary where it writes WAL, on a standby up to where it has replayed: "0/3000060". */
  readonly lsn: string | undefined;
}

/** What is known of one server when a primary is elected. */
export interface ServerView {
  readonly name: string;
  readonly configuredRole: "primary" | "replica";
  /** False once the server is down: refused, or silent for several probes. */
  readonly reachable: boolean;
  /** The latest answer, kept while the server is away. */
  readonly observation: Observation | undefined;
  /** True when it was seen in recovery before, so that finding it writable means it was promoted under our eyes. */
  readonly wasStandby: boolean;
  /** True when the provider of the topology takes it for the primary. */
  readonly named?: boolean;
  /** Why it was last unreachable, in a few words. */
  readonly failure: string | undefined;
}

/** Why a server that answers is not used. */
export type RefusalReason = "foreign-cluster" | "old-primary" | "second-primary";

export interface Refusal {
  readonly server: string;
  readonly reason: RefusalReason;
  /** The evidence, in words: both sides of what does not fit. */
  readonly seen: string;
}

/** Who is the primary now, and who must not be used. */
export interface Election {
  readonly primary: string | undefined;
  readonly refusals: readonly Refusal[];
  /** Identity and timeline the pool is bound to from now on. */
  readonly systemIdentifier: string | undefined;
  readonly timeline: number | undefined;
}

/** Before anything is known. */
export const noElection: Election = Object.freeze({
  primary: undefined,
  refusals: [],
  systemIdentifier: undefined,
  timeline: undefined,
});

/** What a server is, in words for an error or a health check. */
export function describeView({ reachable, observation, failure }: ServerView): string {
  if (!reachable) return `unreachable: ${failure ?? "not probed yet"}`;
  if (!observation) return failure ?? "not probed yet";
  const timeline = observation.timeline === undefined ? "" : ` on timeline ${observation.timeline}`;
  return `${observation.inRecovery ? "in recovery" : "accepts writes"}${timeline}`;
}
