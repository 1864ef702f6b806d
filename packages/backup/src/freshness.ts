import { type Finding, formatDuration } from "@db/core";
import type { BackupInfo } from "./manifest.ts";

/** What counts as fresh. */
export interface FreshnessLimits {
  /** Age of the newest complete backup, milliseconds. Default 26 hours: a day and some slack. */
  readonly maxAgeMs?: number;
  /** Age of the newest verification, milliseconds. Default 8 days. */
  readonly maxUnverifiedMs?: number;
}

/**
 * Says what is wrong with a repository's backups as a whole: none, too old, none verified, a suspect one.
 * @param now milliseconds since the epoch
 */
export function evaluateBackups(
  backups: readonly BackupInfo[],
  limits: FreshnessLimits,
  now: number,
): readonly Finding[] {
  const { maxAgeMs = 26 * 3_600_000, maxUnverifiedMs = 8 * 86_400_000 } = limits;
  const complete = backups.filter(({ status }) => status === "complete");
  const newest = Math.max(...complete.map(({ stoppedAt }) => Date.parse(stoppedAt)));
  const suspects = backups.filter(({ status }) => status === "suspect").map(suspectFinding);
  if (complete.length === 0) {
    const title = "there is no complete backup";
    const none = {
      id: "BACKUP-NONE",
      severity: "critical",
      title,
      hint: "Take one now.",
      command: "db backup run",
    } as const;
    return [none, ...suspects];
  }
  const findings: Finding[] = [];
  if (now - newest > maxAgeMs) {
    findings.push({
      id: "BACKUP-STALE",
      severity: now - newest > 2 * maxAgeMs ? "critical" : "warn",
      title: `the newest complete backup is ${formatDuration(now - newest)} old`,
      observed: now - newest,
      threshold: maxAgeMs,
      unit: "ms",
      hint: "See why the last one failed, and take one now.",
      command: "db backup run",
    });
  }
  const verified = Math.max(...complete.map(({ verifiedAt }) => (verifiedAt === null ? 0 : Date.parse(verifiedAt))));
  if (now - verified > maxUnverifiedMs) {
    findings.push({
      id: "BACKUP-UNVERIFIED",
      severity: "warn",
      title:
        verified === 0 ? "no backup was ever verified" : `no backup was verified for ${formatDuration(now - verified)}`,
      hint: "Read one back, or better, run a restore drill.",
      command: "db backup verify",
    });
  }
  return [...findings, ...suspects];
}

function suspectFinding({ label }: BackupInfo): Finding {
  const title = `backup ${label} holds pages the server found broken`;
  const hint = "Find the damaged relation in the server's log and restore it from an older backup.";
  return { id: "BACKUP-SUSPECT", severity: "critical", title, subject: label, hint };
}
