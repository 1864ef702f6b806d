import { parseLsn } from "@db/core";
import type { WalListing } from "./listing.ts";
import { segmentStart } from "./segment.ts";
import type { TimelineSwitch } from "./timeline.ts";

/** Where streaming begins. */
export interface StartPosition {
  readonly timeline: number;
  /** The first byte of a segment. */
  readonly lsn: bigint;
}

/**
 * Where the archive ends on the way to the server's timeline: after its newest segment there, so that streaming goes on
 * without a gap.
 * @param history the ancestors of the server's timeline
 * @returns undefined when the archive has nothing on that way
 */
export function continueArchive(
  listing: WalListing,
  server: { readonly timeline: number; readonly segmentBytes: number },
  history: readonly TimelineSwitch[],
): StartPosition | undefined {
  const size = BigInt(server.segmentBytes);
  const way = [...history, { timeline: server.timeline, switchLsn: undefined }].toReversed();
  for (const [index, { timeline, switchLsn }] of way.entries()) {
    const prefix = timeline.toString(16).toUpperCase().padStart(8, "0");
    const newest = [...listing.segments]
      .filter((segment) => segment.startsWith(prefix))
      .sort()
      .at(-1);
    if (newest === undefined) continue;
    const end = segmentStart(newest, server.segmentBytes) + size;
    // An old primary may have gone on after the fork: what counts is where its timeline was left.
    if (switchLsn !== undefined && end > parseLsn(switchLsn)) {
      const next = way[index - 1]!.timeline;
      return { timeline: next, lsn: (parseLsn(switchLsn) / size) * size };
    }
    return { timeline, lsn: end };
  }
  return undefined;
}
