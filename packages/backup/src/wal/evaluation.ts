import { type Finding, formatDuration, formatLsn, parseLsn } from "@db/core";
import type { BackupInfo } from "../manifest.ts";
import type { WalListing } from "./listing.ts";
import { segmentStart } from "./segment.ts";

/** What counts as fresh. */
export interface WalLimits {
  /** Age of the newest moment that is covered, milliseconds. Default 5 minutes. */
  readonly maxUncoveredMs?: number;
}

/** Segments that are missing between two that are there. */
export interface WalHole {
  readonly timeline: number;
  readonly fromLsn: string;
  readonly toLsn: string;
}

/** Finds the holes in an archive, timeline by timeline, in the order of names. */
export function findWalHoles(listing: WalListing, segmentBytes: number): readonly WalHole[] {
  const holes: WalHole[] = [];
  let last: { readonly timeline: number; readonly end: bigint } | undefined;
  for (const segment of [...listing.segments].sort()) {
    const timeline = Number.parseInt(segment.slice(0, 8), 16);
    const start = segmentStart(segment, segmentBytes);
    if (last?.timeline === timeline && start !== last.end) {
      holes.push({ timeline, fromLsn: formatLsn(last.end), toLsn: formatLsn(start) });
    }
    last = { timeline, end: start + BigInt(segmentBytes) };
  }
  return holes;
}

/**
 * Says what is wrong with a cluster's WAL archive: a loss no backup stands behind yet, a hole, a receiver that is late.
 * @param backups of the same cluster
 * @param now milliseconds since the epoch
 */
export function evaluateWal(
  listing: WalListing,
  backups: readonly BackupInfo[],
  segmentBytes: number,
  limits: WalLimits,
  now: number,
): readonly Finding[] {
  const findings: Finding[] = [];
  const good = backups.filter(({ status, systemIdentifier }) => {
    return status === "complete" && systemIdentifier === listing.systemIdentifier;
  });
  const isPassed = (toLsn: string): boolean => good.some(({ startLsn }) => parseLsn(startLsn) >= parseLsn(toLsn));
  const lost = listing.gaps.filter(({ toLsn }) => !isPassed(toLsn));
  for (const { fromLsn, toLsn, detectedAt } of lost) {
    findings.push({
      id: "WAL-GAP",
      severity: "critical",
      title: `WAL from ${fromLsn} to ${toLsn} is lost, and no full backup was taken since`,
      subject: fromLsn,
      since: detectedAt,
      hint: "Nothing after it can be restored before there is a new full backup: take one now.",
      command: "db backup run",
    });
  }
  for (const { timeline, fromLsn, toLsn } of findWalHoles(listing, segmentBytes)) {
    if (isPassed(toLsn) || lost.some((gap) => parseLsn(gap.fromLsn) <= parseLsn(fromLsn))) continue;
    findings.push({
      id: "WAL-HOLE",
      severity: "critical",
      title: `WAL from ${fromLsn} to ${toLsn} of timeline ${timeline} is not in the archive`,
      subject: fromLsn,
      hint: "Push the segments if the server still has them, else take a full backup now.",
      command: "db backup run",
    });
  }
  const { position } = listing;
  const { maxUncoveredMs = 300_000 } = limits;
  if (position && now - Date.parse(position.coveredUntil) > maxUncoveredMs) {
    const late = now - Date.parse(position.coveredUntil);
    findings.push({
      id: "WAL-LATE",
      severity: late > 6 * maxUncoveredMs ? "critical" : "warn",
      title: `the WAL archive ends ${formatDuration(late)} ago`,
      observed: late,
      threshold: maxUncoveredMs,
      unit: "ms",
      hint: "A server lost now takes all since then along: see whether the receiver runs.",
      command: "db wal status",
    });
  }
  return findings;
}
