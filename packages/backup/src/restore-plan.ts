import { resolve, sep } from "node:path";
import { type Finding, formatBytes, formatDuration, formatLsn, parseLsn } from "@db/core";
import { openBackup } from "./catalog.ts";
import {
  CorruptObjectError,
  InvalidBackupOptionsError,
  InvalidRecoveryTargetError,
  TargetUnreachableError,
  WrongMajorVersionError,
} from "./errors.ts";
import { type BackupInfo, backupInfo, type BackupManifest, formatServerVersion } from "./manifest.ts";
import { checkRecoveryTarget, type RecoveryAction, recoverySettings, type RecoveryTarget } from "./recovery-target.ts";
import type { Repository } from "./repository/repository.ts";
import { checkParent, chooseBackup, endsBefore, tooEarly } from "./restore-choice.ts";
import { planPlace } from "./restore-place.ts";
import { inventoryWal, type PlannedSegment, type RecoveryTimeline, type WalInventory } from "./wal-inventory.ts";
import { predictTarget } from "./wal/target-search.ts";

/** What to restore, how far, and where to. */
export interface RestorePlanOptions {
  readonly repository: Repository;
  /** Absolute; absent, empty, or what a restore left that was cut short. */
  readonly directory: string;
  /**
   * True replaces a stopped cluster there: it is moved aside whole, and what the backup shares with it is copied from
   * it instead of the repository. Default false.
   */
  readonly replace?: boolean | undefined;
  /** False reads everything from the repository, although a replaced cluster may have it. Default true. */
  readonly delta?: boolean | undefined;
  /** Default: the newest backup from which the target can be reached, complete ones before suspect ones. */
  readonly label?: string | undefined;
  /** The cluster; needed where the repository holds backups of several and `label` names none of them. */
  readonly systemIdentifier?: string | undefined;
  /** Default `immediate`. */
  readonly target?: RecoveryTarget | undefined;
  /** Which timeline recovery follows. Default `latest`; the target `immediate` stays on the backup's own, and another number is refused. */
  readonly timeline?: RecoveryTimeline | undefined;
  /** What the server does at the target. Default `promote`. */
  readonly action?: RecoveryAction | undefined;
  /** New directories of tablespaces, by their oid or their directory on the server. Default: the same directories. */
  readonly tablespaces?: Readonly<Record<string, string>> | undefined;
  /** More server settings to write, for instance `port`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** True leaves `archive_mode` as the backup has it. Default false: a copy must not write into the same archive. */
  readonly keepArchiving?: boolean | undefined;
  /** The major version of the server that will run the files; another one than the backup's is refused. */
  readonly serverMajor?: number | undefined;
}

/** Where a tablespace goes. */
export interface PlannedTablespace {
  readonly oid: string;
  readonly from: string;
  readonly to: string;
}

/** A directory that is moved aside. */
export interface PlannedReplacement {
  readonly directory: string;
  readonly keptAs: string;
}

/** Everything a restore will do, decided before anything is touched. Plain JSON. */
export interface RestorePlan {
  readonly repository: string;
  readonly backup: BackupInfo;
  /** The backups to combine, the full one first. */
  readonly chain: readonly string[];
  readonly target: RecoveryTarget;
  readonly action: RecoveryAction;
  readonly directory: string;
  readonly tablespaces: readonly PlannedTablespace[];
  /** The cluster to be replaced, its data directory first; empty for a restore into an empty directory. */
  readonly replaces: readonly PlannedReplacement[];
  /** True when a restore that was cut short goes on. */
  readonly resumes: boolean;
  /** Where directories of a replaced cluster lie, by the directory they had: files are taken from there. */
  readonly former: Readonly<Record<string, string>>;
  /** Where recovery ends. */
  readonly timeline: number;
  /** The way over the timelines: each from its first position, the last open. */
  readonly timelinePath: readonly { readonly timeline: number; readonly fromLsn: string }[];
  /** Timelines whose history file is written into pg_wal. */
  readonly histories: readonly number[];
  readonly wal: readonly PlannedSegment[];
  /** Files to write, WAL not counted. */
  readonly files: number;
  /** Bytes to write, WAL included. */
  readonly bytes: number;
  /**
   * A guess, from 150 MB/s of files and 40 MB/s of WAL replayed. A drill measures it.
   */
  readonly predictedMs: number;
  /** Written at the end of postgresql.auto.conf. */
  readonly settings: Readonly<Record<string, string>>;
  readonly signalFile: "recovery.signal";
  /** Everything committed after this moment is not in the restored cluster; null when the target decides. */
  readonly losesAfter: string | null;
  readonly findings: readonly Finding[];
}

/**
 * Plans a restore: which backup, which WAL, which settings, what will be lost. Reads only.
 * @throws {BackupNotFoundError} @throws {DirectoryNotEmptyError} @throws {WrongMajorVersionError}
 * @throws {InvalidRecoveryTargetError} @throws {TargetUnreachableError} @throws {MissingKeyError}
 * @throws {CorruptObjectError}
 */
export async function planRestore(options: RestorePlanOptions): Promise<RestorePlan> {
  const { repository } = options;
  const target = options.target ?? { type: "immediate" };
  checkRecoveryTarget(target);
  await repository.refresh();
  repository.requireKey();
  const chosen = await chooseBackup(repository, options, target);
  const backup = await openBackup(repository, chosen);
  const { manifest } = backup;
  await checkParent(repository, manifest, backup.prefix);
  const major = Math.floor(manifest.serverVersion / 10_000);
  if (options.serverMajor !== undefined && options.serverMajor !== major) {
    throw new WrongMajorVersionError(
      `backup ${manifest.label} is of PostgreSQL ${major}, the server to run it is ${options.serverMajor}`,
      { hint: `Use PostgreSQL ${major}; move to another major version by dump and restore or pg_upgrade.` },
    );
  }
  if (target.type === "immediate" && typeof options.timeline === "number" && options.timeline !== manifest.timeline) {
    throw new InvalidRecoveryTargetError(
      `the end of backup ${manifest.label} is on timeline ${manifest.timeline}, not ${options.timeline}`,
      { hint: "Leave the timeline out, or name a target on it: latest, a time, a position." },
    );
  }
  const inventory = await inventoryWal(
    repository,
    backup,
    target.type === "immediate" ? "current" : (options.timeline ?? "latest"),
  );
  if (parseLsn(inventory.endLsn) < parseLsn(manifest.stopLsn)) {
    throw new CorruptObjectError(
      backup.prefix,
      `lacks WAL: it is there to ${inventory.endLsn}, not ${manifest.stopLsn}`,
    );
  }
  const reach = checkReach(chosen, target, inventory);
  const prediction = await predictTarget(repository, manifest.systemIdentifier, inventory, target);
  const findings = [...reach, ...gapFindings(inventory), ...prediction.findings];
  const directory = resolve(options.directory);
  const tablespaces = planTablespaces(chosen, directory, options.tablespaces ?? {});
  const place = await planPlace(options, manifest, tablespaces);
  const action = options.action ?? "promote";
  const wal = neededWal(inventory, manifest, target).slice(0, prediction.segments);
  // Where nothing was committed after the time asked for, all WAL is the same and the server would refuse the time.
  const led: RecoveryTarget = prediction.atEnd ? { type: "latest" } : target;
  return {
    repository: repository.location,
    backup: backupInfo(manifest, chosen.verifiedAt),
    chain: [manifest.label],
    target,
    action,
    directory,
    tablespaces,
    ...place,
    timeline: inventory.timeline,
    timelinePath: inventory.path.map(({ timeline, from }) => ({ timeline, fromLsn: formatLsn(from) })),
    histories: inventory.histories,
    wal,
    files: manifest.files,
    bytes: manifest.bytes + wal.length * manifest.walSegmentBytes,
    predictedMs: predict(manifest.bytes, wal.length * manifest.walSegmentBytes),
    settings: {
      ...(options.keepArchiving === true ? {} : { archive_mode: "off" }),
      ...options.settings,
      ...recoverySettings(led, inventory.timeline, action),
    },
    signalFile: "recovery.signal",
    losesAfter: lossOf(chosen, target, inventory),
    findings,
  };
}

function checkReach(backup: BackupInfo, target: RecoveryTarget, wal: WalInventory): Finding[] {
  if (!endsBefore(backup, target)) throw tooEarly(backup, target);
  const beyond = (asked: string): never => {
    throw new TargetUnreachableError(
      `recovery target ${asked} lies beyond the stored WAL, which ends at ${wal.endLsn} (${wal.coveredUntil})`,
      { hint: "Choose an earlier target, or restore to latest." },
    );
  };
  if (target.type === "time" && Date.parse(target.time) > Date.parse(wal.coveredUntil)) beyond(target.time);
  if (target.type === "lsn" && parseLsn(target.lsn) > parseLsn(wal.endLsn)) beyond(target.lsn);
  const findings: Finding[] = [];
  if (backup.status === "suspect") {
    findings.push({
      id: "RESTORE-SUSPECT",
      severity: "warn",
      title: `backup ${backup.label} holds pages the server found broken`,
      subject: backup.label,
      hint: "Restore an older backup if the damaged table matters.",
    });
  }
  return findings;
}

function gapFindings(wal: WalInventory): Finding[] {
  return wal.gaps.map(({ fromLsn, toLsn, detectedAt }) => ({
    id: "RESTORE-GAP",
    severity: "warn",
    title: `WAL from ${fromLsn} to ${toLsn} was lost; recovery from this backup ends before it`,
    subject: fromLsn,
    since: detectedAt,
    hint: "To go further, restore a backup taken after the gap.",
  }));
}

/** Immediate takes the backup's own WAL and not a byte more; the others what reaches their target. */
function neededWal(wal: WalInventory, manifest: BackupManifest, target: RecoveryTarget): readonly PlannedSegment[] {
  const own = manifest.wal.map(({ segment }) => ({ segment, backup: manifest.label }));
  const until = target.type === "immediate" ? manifest.stopLsn : target.type === "lsn" ? target.lsn : wal.endLsn;
  const size = BigInt(manifest.walSegmentBytes);
  // The end of everything stored, and a backup's end, are positions behind their last byte.
  const behind = target.type !== "lsn" || parseLsn(until) === parseLsn(wal.endLsn);
  const last = behind ? parseLsn(until) - 1n : parseLsn(until);
  const count = Number(last / size - parseLsn(manifest.startLsn) / size) + 1;
  return (target.type === "immediate" ? own : wal.segments).slice(0, count);
}

function lossOf(backup: BackupInfo, target: RecoveryTarget, wal: WalInventory): string | null {
  if (target.type === "immediate") return backup.stoppedAt;
  if (target.type === "latest") return wal.coveredUntil;
  return target.type === "time" ? new Date(target.time).toISOString() : null;
}

function planTablespaces(
  backup: BackupInfo,
  directory: string,
  map: Readonly<Record<string, string>>,
): PlannedTablespace[] {
  const known = new Set(backup.tablespaces.flatMap(({ oid, location }) => [oid, location]));
  const unknown = Object.keys(map).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new InvalidBackupOptionsError(`backup ${backup.label} has no tablespace ${unknown.join(", ")}`, {
      hint: `It has: ${backup.tablespaces.map(({ oid, location }) => `${oid} (${location})`).join(", ") || "none"}.`,
    });
  }
  const planned = backup.tablespaces
    // An in-place tablespace lies inside the data directory and goes with it.
    .filter(({ location }) => !location.startsWith("pg_tblspc/"))
    .map(({ oid, location }) => ({ oid, from: location, to: resolve(map[oid] ?? map[location] ?? location) }));
  const places = [directory, ...planned.map(({ to }) => to)];
  for (const [index, place] of places.entries()) {
    if (places.some((other, at) => at !== index && `${other}${sep}`.startsWith(`${place}${sep}`))) {
      throw new InvalidBackupOptionsError(`the directory ${place} would hold another one of the restore`, {
        hint: "Give the data directory and every tablespace a directory of its own, none inside another.",
      });
    }
  }
  return planned;
}

function predict(fileBytes: number, walBytes: number): number {
  return Math.round((fileBytes / 150e6 + walBytes / 40e6) * 1000);
}

/** A plan for people: what is read, written, moved and lost. The first line says it in short. */
export function describeRestorePlan(plan: RestorePlan): string {
  const { backup, target, directory, wal, timelinePath, replaces, tablespaces, settings } = plan;
  const where = "inclusive" in target && !(target.inclusive ?? true) ? `just before ${target.type}` : target.type;
  const value = valueOf(target);
  const archived = wal.filter((segment) => segment.backup === null).length;
  const way = timelinePath.map(({ timeline, fromLsn }, index) =>
    index === 0 ? String(timeline) : `${timeline} from ${fromLsn}`,
  );
  return [
    `restore ${backup.label} (PostgreSQL ${formatServerVersion(backup.serverVersion)}) to ${where}${value === undefined ? "" : ` ${value}`} into ${directory}`,
    `backups    ${plan.chain.join(", ")}; of cluster ${backup.systemIdentifier}, ended ${backup.stoppedAt} at ${backup.stopLsn}`,
    `timeline   ${way.join(", then ")}`,
    `WAL        ${wal.length} segments, all present: ${wal.length - archived} in backups, ${archived} in the archive` +
      (wal.length === 0 ? "" : `; ${wal[0]!.segment} to ${wal.at(-1)!.partial ?? wal.at(-1)!.segment}`),
    `data       ${plan.files} files, ${formatBytes(plan.bytes)} to write, about ${formatDuration(plan.predictedMs)}`,
    ...tablespaces.map(({ oid, from, to }) => `tablespace ${oid}: ${to}${to === from ? "" : `, was ${from}`}`),
    ...replaces.map(({ directory: replaced, keptAs }) => `replaces   ${replaced}, which is kept as ${keptAs}`),
    ...(plan.resumes ? ["resumes    what a restore that was cut short left there"] : []),
    `settings   ${Object.entries(settings)
      .filter(([, setting]) => setting !== "")
      .map(([name, setting]) => `${name} = '${setting}'`)
      .join(", ")}`,
    `           in postgresql.auto.conf, and ${plan.signalFile}`,
    plan.losesAfter === null
      ? "loses      what was committed behind the target"
      : `loses      everything committed after ${plan.losesAfter}`,
    ...plan.findings.map(({ title, hint }) => `note       ${title}${hint === undefined ? "" : `: ${hint}`}`),
  ].join("\n");
}

function valueOf(target: RecoveryTarget): string | undefined {
  switch (target.type) {
    case "time":
      return target.time;
    case "lsn":
      return target.lsn;
    case "xid":
      return target.xid;
    case "name":
      return target.name;
    default:
      return undefined;
  }
}
