import { formatLsn, parseLsn } from "@db/core";
import { laterFirst, withSteadyTimes } from "./backup-order.ts";
import type { Catalog, UnusableBackup, WalHoldings } from "./catalog.ts";
import type { BackupInfo } from "./manifest.ts";
import { parseWalName, segmentStart } from "./wal/segment.ts";

/** What to keep; a backup stays when any rule wants it. Without a rule everything stays. */
export interface RetentionPolicy {
  /** The newest full backups, with what depends on them. */
  readonly keepFull?: number | undefined;
  /** Everything of the last days, and the newest full backup before them, from which their first moment is reached. */
  readonly keepDays?: number | undefined;
  /** The newest full backup of each of the last hours, days, ISO weeks and months that have one (UTC). */
  readonly tiers?:
    | { readonly hourly?: number; readonly daily?: number; readonly weekly?: number; readonly monthly?: number }
    | undefined;
  /** Never leave fewer verified full backups than this. Default 1; 0 does not ask for any. */
  readonly minVerified?: number | undefined;
  /**
   * WAL for any moment reaches back to the oldest of this many full backups that stay; older ones can only be restored
   * as they were taken. Default: to the oldest backup that stays.
   */
  readonly keepWalFull?: number | undefined;
  /** Age from which a backup without a record counts as given up. Default one day, milliseconds. */
  readonly incompleteAfterMs?: number | undefined;
}

/** A backup that stays, and every reason why. */
export interface KeptBackup {
  readonly label: string;
  readonly systemIdentifier: string;
  readonly reasons: readonly string[];
}

/** A backup that goes, and why no rule holds it. */
export interface ExpiredBackup {
  readonly label: string;
  readonly systemIdentifier: string;
  readonly storedBytes: number;
  readonly reason: string;
}

/** What a policy keeps and lets go. Plain JSON; deletes nothing: `expireBackups` applies it. */
export interface ExpirationPlan {
  readonly keep: readonly KeptBackup[];
  /** In the order of removal: what depends on others first. */
  readonly expire: readonly ExpiredBackup[];
  /** Folders of backups that were never finished. */
  readonly incomplete: readonly ExpiredBackup[];
  readonly freedBytes: number;
  /** Absent where there is no WAL archive. */
  readonly wal?: readonly WalExpiration[];
}

/** What goes of one cluster's WAL archive. */
export interface WalExpiration {
  readonly systemIdentifier: string;
  /** The position everything is kept from; null when nothing goes. */
  readonly keepFromLsn: string | null;
  readonly reason: string;
  readonly keptFiles: number;
  readonly keptBytes: number;
  readonly expire: readonly { readonly name: string; readonly storedBytes: number }[];
}

const dayMs = 86_400_000;

/**
 * Decides what a policy lets go, for every cluster in the repository by itself. A full backup stays as long as one that
 * needs it; suspect backups never push a good one out; nothing goes while too few verified full backups would stay.
 * @param now milliseconds since the epoch
 */
export function planExpiration(catalog: Catalog, policy: RetentionPolicy, now: number): ExpirationPlan {
  const keep: KeptBackup[] = [];
  const expire: ExpiredBackup[] = [];
  for (const group of groupByCluster(catalog.backups, now)) {
    const marked = group.filter((backup) => isMarked(backup, now));
    // What somebody keeps by hand counts for no rule, so that it pushes nothing else out.
    const backups = group.filter((backup) => !marked.includes(backup));
    const reasons = new Map(backups.length > 0 ? reasonsToKeep(backups, policy, now) : []);
    for (const backup of marked) keepMarked(backup, group, reasons);
    for (const backup of group) {
      const { label, systemIdentifier, storedBytes } = backup;
      const why = reasons.get(label);
      if (why) keep.push({ label, systemIdentifier, reasons: why });
      else expire.push({ label, systemIdentifier, storedBytes, reason: "no rule keeps it" });
    }
  }
  const incomplete = catalog.unusable.filter((backup) => isGivenUp(backup, policy, now)).map(givenUp);
  const wal = catalog.wal?.map((holdings) => planWal(holdings, catalog.backups, keep, policy));
  const gone = [...expire, ...incomplete, ...(wal ?? []).flatMap((archive) => archive.expire)];
  const freedBytes = gone.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  // A dependent's label begins with the label it needs, so the longer one goes first.
  expire.sort((a, b) => b.label.length - a.label.length || (a.label < b.label ? -1 : 1));
  return { keep, expire, incomplete, freedBytes, ...(wal ? { wal } : {}) };
}

/**
 * WAL before the oldest backup that recovery may begin with goes; on every timeline, because positions go on where a
 * timeline forks. Histories stay, they are small and tell which timeline comes from which. Each backup's own WAL lies
 * in its folder, so what goes here takes no backup along.
 */
function planWal(
  holdings: WalHoldings,
  backups: readonly BackupInfo[],
  keep: readonly KeptBackup[],
  policy: RetentionPolicy,
): WalExpiration {
  const { systemIdentifier, segmentBytes, files } = holdings;
  const all = (reason: string): WalExpiration => ({
    systemIdentifier,
    keepFromLsn: null,
    reason,
    keptFiles: files.length,
    keptBytes: files.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    expire: [],
  });
  const kept = new Set(keep.filter((k) => k.systemIdentifier === systemIdentifier).map(({ label }) => label));
  const mine = backups.filter((backup) => backup.systemIdentifier === systemIdentifier && kept.has(backup.label));
  const good = mine.filter(({ status }) => status === "complete");
  if (good.length === 0 || segmentBytes === 0) return all("no good backup stays to begin recovery with");
  const byStart = good.toSorted((a, b) => (parseLsn(a.startLsn) < parseLsn(b.startLsn) ? 1 : -1));
  const fulls = byStart.filter(({ type }) => type === "full");
  const limited = policy.keepWalFull === undefined ? undefined : fulls[Math.max(1, policy.keepWalFull) - 1];
  const first = limited ?? byStart.at(-1)!;
  const size = BigInt(segmentBytes);
  const from = (parseLsn(first.startLsn) / size) * size;
  const goes = ({ name }: { readonly name: string }): boolean => {
    const parsed = parseWalName(name);
    return parsed !== undefined && parsed.kind !== "history" && segmentStart(parsed.segment, segmentBytes) < from;
  };
  const expire = files.filter(goes);
  const stays = files.filter((file) => !goes(file));
  return {
    systemIdentifier,
    keepFromLsn: formatLsn(from),
    reason: `backup ${first.label} begins there, the oldest that recovery may begin with`,
    keptFiles: stays.length,
    keptBytes: stays.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    expire,
  };
}

/** Newest first. */
function reasonsToKeep(
  backups: readonly BackupInfo[],
  policy: RetentionPolicy,
  now: number,
): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>();
  const keep = (backup: BackupInfo, reason: string): void => {
    const known = reasons.get(backup.label);
    if (!known) reasons.set(backup.label, [reason]);
    else if (!known.includes(reason)) known.push(reason);
  };
  const keepAll = (reason: string): ReadonlyMap<string, readonly string[]> => {
    for (const backup of backups) keep(backup, reason);
    return reasons;
  };
  const { keepFull, keepDays, tiers = {}, minVerified = 1 } = policy;
  const noRule = keepFull === undefined && keepDays === undefined && Object.keys(tiers).length === 0;
  if (noRule) return keepAll("no retention is set");
  const fulls = backups.filter(({ type, status }) => type === "full" && status === "complete");
  if (fulls.length === 0) return keepAll("there is no good backup to take its place");
  for (const backup of fulls.slice(0, keepFull ?? 0)) keep(backup, `one of the newest ${keepFull} full backups`);
  if (keepDays !== undefined) {
    const since = now - keepDays * dayMs;
    for (const backup of backups) if (at(backup) >= since) keep(backup, `not older than ${keepDays} days`);
    const before = fulls.find((backup) => at(backup) < since);
    if (before) keep(before, `reaches the beginning of the last ${keepDays} days`);
  }
  for (const [tier, count] of Object.entries(tiers)) keepTier(fulls, tier as Tier, count, keep);
  const verified = fulls.filter(({ verifiedAt }) => verifiedAt !== null);
  if (verified.length < minVerified && backups.some(({ label }) => !reasons.has(label))) {
    return keepAll(`only ${verified.length} of at least ${minVerified} full backups are verified`);
  }
  for (const backup of verified.slice(0, minVerified)) keep(backup, `one of at least ${minVerified} verified backups`);
  // A suspect backup may hold what no other has: it goes with the good ones of its age.
  const oldest = Math.min(...fulls.filter(({ label }) => reasons.has(label)).map(at));
  for (const backup of backups) {
    if (backup.status === "suspect" && at(backup) >= oldest) keep(backup, "suspect, newer than a backup that stays");
  }
  keepChains(backups, reasons, keep);
  return reasons;
}

type Tier = "hourly" | "daily" | "weekly" | "monthly";

function keepTier(
  fulls: readonly BackupInfo[],
  tier: Tier,
  count: number | undefined,
  keep: (backup: BackupInfo, reason: string) => void,
): void {
  const periods = new Set<string>();
  for (const backup of fulls) {
    const period = periodOf(new Date(backup.stoppedAt), tier);
    if (periods.has(period)) continue;
    if (periods.size >= (count ?? 0)) return;
    periods.add(period);
    keep(backup, `${tier} backup of ${period}`);
  }
}

function periodOf(date: Date, tier: Tier): string {
  const iso = date.toISOString();
  if (tier === "hourly") return `${iso.slice(0, 13)}h`;
  if (tier === "daily") return iso.slice(0, 10);
  if (tier === "monthly") return iso.slice(0, 7);
  // The week of an ISO date is the one that holds its Thursday.
  const day = (date.getUTCDay() + 6) % 7;
  const thursday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() - day + 3));
  const week = Math.floor((thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / dayMs / 7) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, "0")}`;
}

/** What a kept backup needs stays; what needs a kept backup stays with it, when the rule was about full backups. */
function keepChains(
  backups: readonly BackupInfo[],
  reasons: ReadonlyMap<string, readonly string[]>,
  keep: (backup: BackupInfo, reason: string) => void,
): void {
  const byLabel = new Map(backups.map((backup) => [backup.label, backup]));
  const rootOf = (backup: BackupInfo): BackupInfo => {
    const parent = backup.parent === null ? undefined : byLabel.get(backup.parent);
    return parent ? rootOf(parent) : backup;
  };
  const keptRoots = new Set([...reasons.keys()].map((label) => rootOf(byLabel.get(label)!).label));
  for (const backup of backups) {
    const root = rootOf(backup);
    if (keptRoots.has(root.label) && backup !== root) keep(backup, `belongs to ${root.label}, which stays`);
    if (keptRoots.has(root.label) && backup === root && !reasons.has(root.label)) {
      keep(root, "a backup that stays needs it");
    }
  }
}

function isMarked({ mark }: BackupInfo, now: number): boolean {
  if (!mark) return false;
  return mark.kind === "hold" || mark.until === null || Date.parse(mark.until) > now;
}

/** A marked backup stays, with everything it needs. */
function keepMarked(backup: BackupInfo, backups: readonly BackupInfo[], reasons: Map<string, readonly string[]>): void {
  const { kind, until, reason } = backup.mark!;
  const what = kind === "hold" ? "held" : until === null ? "kept by hand" : `kept by hand until ${until}`;
  reasons.set(backup.label, [reason === "" ? what : `${what}: ${reason}`]);
  for (let { parent } = backup; parent !== null;) {
    const needed = backups.find(({ label }) => label === parent);
    if (needed && !reasons.has(needed.label)) reasons.set(needed.label, ["a backup that stays needs it"]);
    parent = needed?.parent ?? null;
  }
}

/** The latest first, with times that do not go back. */
function groupByCluster(backups: readonly BackupInfo[], now: number): readonly (readonly BackupInfo[])[] {
  const groups = Map.groupBy(backups, ({ systemIdentifier }) => systemIdentifier).values();
  return [...groups].map((group) => withSteadyTimes(group.toSorted(laterFirst), now));
}

function at(backup: BackupInfo): number {
  return Date.parse(backup.stoppedAt);
}

function isGivenUp(backup: UnusableBackup, policy: RetentionPolicy, now: number): boolean {
  return backup.reason === "incomplete" && now - Date.parse(backup.lastWrittenAt) > (policy.incompleteAfterMs ?? dayMs);
}

function givenUp({ label, systemIdentifier, storedBytes, lastWrittenAt }: UnusableBackup): ExpiredBackup {
  return { label, systemIdentifier, storedBytes, reason: `never finished, last written ${lastWrittenAt}` };
}
