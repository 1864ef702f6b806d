import type { Catalog, UnusableBackup } from "./catalog.ts";
import type { BackupInfo } from "./manifest.ts";

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
  for (const backups of groupByCluster(catalog.backups)) {
    const reasons = reasonsToKeep(backups, policy, now);
    for (const backup of backups) {
      const { label, systemIdentifier, storedBytes } = backup;
      const why = reasons.get(label);
      if (why) keep.push({ label, systemIdentifier, reasons: why });
      else expire.push({ label, systemIdentifier, storedBytes, reason: "no rule keeps it" });
    }
  }
  const incomplete = catalog.unusable.filter((backup) => isGivenUp(backup, policy, now)).map(givenUp);
  const freedBytes = [...expire, ...incomplete].reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  // A dependent's label begins with the label it needs, so the longer one goes first.
  expire.sort((a, b) => b.label.length - a.label.length || (a.label < b.label ? -1 : 1));
  return { keep, expire, incomplete, freedBytes };
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

function groupByCluster(backups: readonly BackupInfo[]): readonly (readonly BackupInfo[])[] {
  const groups = Object.values(Object.groupBy(backups, ({ systemIdentifier }) => systemIdentifier));
  return groups.map((group) => (group ?? []).toSorted((a, b) => at(b) - at(a)));
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
