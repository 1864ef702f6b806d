import { parseLsn } from "@db/core";
import type { BackupInfo } from "./manifest.ts";

/**
 * Sorts the backups of one cluster, the latest first: by timeline and position in its WAL, which never go back, and only
 * then by the clock, which may.
 */
export function laterFirst(a: BackupInfo, b: BackupInfo): number {
  if (a.timeline !== b.timeline) return b.timeline - a.timeline;
  const [stopA, stopB] = [parseLsn(a.stopLsn), parseLsn(b.stopLsn)];
  if (stopA !== stopB) return stopA < stopB ? 1 : -1;
  if (a.stoppedAt !== b.stoppedAt) return a.stoppedAt < b.stoppedAt ? 1 : -1;
  return a.label < b.label ? 1 : -1;
}

/** The backups of a repository: those of a cluster together, the latest first, the cluster backed up last before the others. */
export function sortBackups(backups: readonly BackupInfo[]): BackupInfo[] {
  const clusters = [...Map.groupBy(backups, ({ systemIdentifier }) => systemIdentifier).values()];
  const newest = (group: readonly BackupInfo[]): number =>
    Math.max(...group.map(({ stoppedAt }) => Date.parse(stoppedAt)));
  clusters.sort((a, b) => newest(b) - newest(a));
  return clusters.flatMap((group) => group.toSorted(laterFirst));
}

/**
 * Gives one cluster's backups times that do not go back along its WAL: one taken after another is never older than that
 * one, whatever the clock said. A time that lies ahead of now says nothing about later backups.
 * @param backups the latest first
 * @param now milliseconds since the epoch
 */
export function withSteadyTimes(backups: readonly BackupInfo[], now: number): BackupInfo[] {
  let reached = 0;
  const steady = backups.toReversed().map((backup) => {
    const at = Date.parse(backup.stoppedAt);
    if (at <= now) reached = Math.max(reached, at);
    return at >= reached ? backup : { ...backup, stoppedAt: new Date(reached).toISOString() };
  });
  return steady.toReversed();
}
