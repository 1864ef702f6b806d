import { expect, test } from "vitest";
import type { BackupInfo } from "../manifest.ts";
import { evaluateWal, findWalHoles } from "./evaluation.ts";
import type { WalGap, WalListing } from "./listing.ts";

const segmentBytes = 16 * 1024 * 1024;
const now = Date.parse("2026-11-20T12:00:00Z");
const systemIdentifier = "1";
const gap: WalGap = {
  timeline: 1,
  fromLsn: "0/4000000",
  toTimeline: 1,
  toLsn: "0/7000000",
  detectedAt: "2026-11-20T11:00:00.000Z",
  reason: "removed",
};

function listing(segments: string[], more: Partial<WalListing> = {}): WalListing {
  return {
    systemIdentifier,
    segments: new Set(segments),
    partials: new Map(),
    histories: [],
    labels: [],
    gaps: [],
    damaged: [],
    position: { timeline: 1, lsn: "0/9000000", coveredUntil: new Date(now - 1_000).toISOString() },
    storedBytes: 0,
    objects: new Map(),
    ...more,
  };
}

const at = (n: number, timeline = 1): string =>
  `${String(timeline).padStart(8, "0")}00000000${n.toString(16).toUpperCase().padStart(8, "0")}`;
const backupFrom = (startLsn: string): BackupInfo =>
  ({ status: "complete", systemIdentifier, startLsn }) as unknown as BackupInfo;
const ids = (...args: Parameters<typeof evaluateWal>): string[] => evaluateWal(...args).map(({ id }) => id);

test("sees a hole inside a timeline, also over the end of a log, and none between timelines", () => {
  expect(findWalHoles(listing([at(0xfe), at(0xff), "000000010000000100000000"]), segmentBytes)).toEqual([]);
  expect(findWalHoles(listing([at(3), at(5), at(5, 2), at(6, 2)]), segmentBytes)).toEqual([
    { timeline: 1, fromLsn: "0/4000000", toLsn: "0/5000000" },
  ]);
});

test("a loss is critical until a full backup was begun behind it", () => {
  const lost = listing([at(3), at(7)], { gaps: [gap] });
  expect(ids(lost, [backupFrom("0/3000028")], segmentBytes, {}, now)).toEqual(["WAL-GAP"]);
  expect(ids(lost, [backupFrom("0/7000028")], segmentBytes, {}, now)).toEqual([]);
  expect(ids(listing([at(3), at(7)]), [backupFrom("0/3000028")], segmentBytes, {}, now)).toEqual(["WAL-HOLE"]);
});

test("tells when the archive ends too long ago", () => {
  const late = { timeline: 1, lsn: "0/9000000", coveredUntil: new Date(now - 600_000).toISOString() };
  expect(ids(listing([at(3)], { position: late }), [], segmentBytes, {}, now)).toEqual(["WAL-LATE"]);
  expect(ids(listing([at(3)], { position: late }), [], segmentBytes, { maxUncoveredMs: 900_000 }, now)).toEqual([]);
});
