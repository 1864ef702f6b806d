import { parseLsn } from "@db/core";

/** One ancestor of a timeline, and where it was left. */
export interface TimelineSwitch {
  readonly timeline: number;
  /** The first position that is on the next timeline. */
  readonly switchLsn: string;
}

/** A stretch of WAL on one timeline; `to` is null for the last. */
export interface TimelineStretch {
  readonly timeline: number;
  readonly from: bigint;
  readonly to: bigint | null;
}

/** Parses a `.history` file: the ancestors, the oldest first. Lines that are no ancestor are comments. */
export function parseTimelineHistory(text: string): readonly TimelineSwitch[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
    return match ? [{ timeline: Number(match[1]), switchLsn: match[2]! }] : [];
  });
}

/**
 * The way from a position on one timeline to the end of another.
 * @returns undefined when the position is not in the history of `timeline`
 */
export function timelinePath(
  from: { readonly timeline: number; readonly lsn: bigint },
  timeline: number,
  history: readonly TimelineSwitch[],
): readonly TimelineStretch[] | undefined {
  if (timeline === from.timeline) return [{ timeline, from: from.lsn, to: null }];
  const at = history.findIndex((ancestor) => ancestor.timeline === from.timeline);
  if (at < 0 || parseLsn(history[at]!.switchLsn) < from.lsn) return undefined;
  const path: TimelineStretch[] = [];
  let position = from.lsn;
  for (const ancestor of history.slice(at)) {
    const to = parseLsn(ancestor.switchLsn);
    path.push({ timeline: ancestor.timeline, from: position, to });
    position = to;
  }
  path.push({ timeline, from: position, to: null });
  return path;
}
