import { parseLsn } from "@db/core";
import { listBackups } from "./catalog.ts";
import {
  BackupNotFoundError,
  CorruptObjectError,
  InvalidBackupOptionsError,
  TargetUnreachableError,
} from "./errors.ts";
import type { BackupInfo, BackupManifest } from "./manifest.ts";
import type { RecoveryTarget } from "./recovery-target.ts";
import type { Repository } from "./repository/repository.ts";

const listHint = "List what is there: db backup list.";

/**
 * The newest backup that ended before the target, complete ones before suspect ones; or the one that is named. Where a
 * repository holds several clusters, one of them must be meant.
 * @throws {BackupNotFoundError} @throws {TargetUnreachableError} @throws {InvalidBackupOptionsError}
 */
export async function chooseBackup(
  repository: Repository,
  wanted: { readonly label?: string | undefined; readonly systemIdentifier?: string | undefined },
  target: RecoveryTarget = { type: "immediate" },
): Promise<BackupInfo> {
  const { label, systemIdentifier } = wanted;
  const { location } = repository;
  const of = systemIdentifier === undefined ? "" : ` of cluster ${systemIdentifier}`;
  const backups = (await listBackups(repository)).filter(
    (backup) =>
      (label === undefined || backup.label === label) &&
      (systemIdentifier === undefined || backup.systemIdentifier === systemIdentifier),
  );
  if (backups.length === 0) {
    const what = label === undefined ? "no complete backup" : `no complete backup "${label}"`;
    throw new BackupNotFoundError(`${what}${of} in ${location}`, { hint: listHint });
  }
  const clusters = Map.groupBy(backups, (backup) => backup.systemIdentifier);
  if (clusters.size > 1) {
    const each = [...clusters].map(
      ([id, group]) => `${id} (newest ${group[0]!.label}, ${group[0]!.databases.join(", ")})`,
    );
    throw new InvalidBackupOptionsError(`${location} holds backups of ${clusters.size} clusters: ${each.join("; ")}`, {
      hint: "Say which one: name a backup's label, or the cluster's system identifier.",
    });
  }
  if (label !== undefined) return backups[0]!;
  const early = backups.filter((backup) => endsBefore(backup, target));
  if (early.length === 0) throw tooEarly(backups.at(-1)!, target);
  return early.find(({ status }) => status === "complete") ?? early[0]!;
}

/**
 * Refuses a backup that needs another one: this version takes and restores full ones.
 * @throws {BackupNotFoundError} when that one is missing; @throws {CorruptObjectError} when a newer version wrote it
 */
export async function checkParent(repository: Repository, manifest: BackupManifest, prefix: string): Promise<void> {
  const { label, type, parent } = manifest;
  if (type === "full" && parent === null) return;
  const there = (await listBackups(repository)).some((backup) => backup.label === parent);
  if (!there) {
    throw new BackupNotFoundError(
      `backup ${label} needs ${parent ?? "another"}, which is not in ${repository.location}`,
      {
        hint: "Put it back from a copy of the repository, or restore another backup.",
      },
    );
  }
  throw new CorruptObjectError(prefix, `is a backup of type ${type}, which this version cannot restore`, {
    hint: "Use the version that wrote it, or restore a full backup.",
  });
}

/** Whether a backup ended before a target, so that recovery from it can stop there. */
export function endsBefore(backup: BackupInfo, target: RecoveryTarget): boolean {
  if (target.type === "time") return Date.parse(backup.stoppedAt) <= Date.parse(target.time);
  if (target.type === "lsn") return parseLsn(backup.stopLsn) <= parseLsn(target.lsn);
  return true;
}

/** The refusal of a target that a backup ends after. */
export function tooEarly(backup: BackupInfo, target: RecoveryTarget): TargetUnreachableError {
  const asked = target.type === "time" ? target.time : target.type === "lsn" ? target.lsn : target.type;
  return new TargetUnreachableError(
    `recovery target ${asked} lies before the end of backup ${backup.label} (${backup.stoppedAt}, ${backup.stopLsn})`,
    { hint: "Choose an older backup, or a later target." },
  );
}
