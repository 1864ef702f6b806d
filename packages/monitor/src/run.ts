import type { Collected, Collector, CollectorRun } from "./collector.ts";
import type { WatchedDatabase } from "./databases.ts";
import type { LiveRun } from "./live.ts";
import type { Tier } from "./metric.ts";
import type { Row } from "./rows.ts";
import type { Block } from "./snapshot.ts";

/** One collector on one database of the server, with what it gave last. */
export interface Run {
  readonly collector: Collector;
  readonly run: CollectorRun | LiveRun;
  readonly database: WatchedDatabase;
  /** What was made of these rows last, for a live one: the same rows make the same. */
  madeOf: readonly (readonly Row[])[] | undefined;
  collected: Collected | undefined;
  asOf: number | undefined;
  attemptedAt: number | undefined;
  durationMs: number;
  error: string | undefined;
}

export type Live = Run & { readonly run: LiveRun };

export const isLive = (run: Run): run is Live => typeof run.run !== "function";

/** Times as text: most of what is read at all is read at the same moment. */
export function isoTimes(): (at: number) => string {
  let known = Number.NaN;
  let text = "";
  return (at) => {
    if (at !== known) text = new Date(at).toISOString();
    known = at;
    return text;
  };
}

/** What runs of one collector on several databases gave. */
export function toBlock(runs: readonly Run[], now: number, everyMs: number, isoOf: (at: number) => string): Block {
  const { name, tier } = runs[0]!.collector;
  let oldest = Number.POSITIVE_INFINITY;
  let durationMs = 0;
  let success = true;
  let error: string | undefined;
  for (const run of runs) {
    oldest = Math.min(oldest, run.asOf ?? Number.POSITIVE_INFINITY);
    durationMs += run.durationMs;
    error ??= run.error;
    success &&= run.error === undefined && run.asOf !== undefined;
  }
  const isRead = oldest < Number.POSITIVE_INFINITY;
  return {
    collector: name,
    tier: tier satisfies Tier,
    asOf: isRead ? isoOf(oldest) : null,
    ageMs: isRead ? Math.max(0, now - oldest) : null,
    everyMs,
    durationMs,
    success,
    ...(error !== undefined && { error }),
    tables:
      runs.length === 1 ? (runs[0]!.collected?.tables ?? []) : runs.flatMap(({ collected }) => collected?.tables ?? []),
  };
}
