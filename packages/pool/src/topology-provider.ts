/** One server, as a provider tells of it. */
export interface TopologyMember {
  readonly host: string;
  readonly port: number;
  /** What the provider takes it for. The pool's own probe has the last word; this settles what probes cannot. */
  readonly role: "primary" | "replica";
  /** Share of reads compared with other replicas; 0 gives it none. Default 1. */
  readonly weight?: number;
}

/** Knows which servers there are. The pool asks again and again, and follows: servers join and leave as it says. */
export interface TopologyProvider {
  /** Shown in logs and in `stats()`. */
  readonly name: string;
  /** Pause between two questions. */
  readonly intervalMs: number;
  /** Resolves with every server there is now. Rejecting, or an empty list, leaves the pool with those it has. */
  members(signal: AbortSignal): Promise<readonly TopologyMember[]>;
}

/** What became of the last question. Plain data. */
export interface ProviderStats {
  readonly name: string;
  /** When it last answered, ISO 8601; undefined before it did. */
  readonly answeredAt: string | undefined;
  /** Why the last question had no answer; undefined after a good one. */
  readonly failure: string | undefined;
}
