import { formatLsn, parseLsn } from "@db/core";
import type { Catalog, WalHoldings } from "./catalog.ts";
import type { BackupInfo } from "./manifest.ts";
import { type ExpirationPlan, planExpiration, type RetentionPolicy } from "./retention.ts";
import { parseWalName, segmentStart } from "./wal/segment.ts";

/** One thing in the repository, and what a policy does with it. */
export interface RetainedObject {
  readonly kind: "backup" | "unusable" | "wal";
  /** A label, or the name of a WAL file. */
  readonly name: string;
  readonly systemIdentifier: string;
  readonly stays: boolean;
  readonly why: string;
  readonly storedBytes: number;
}

/** The moments a cluster can be restored to. Times are ISO 8601. */
export interface RecoveryWindow {
  readonly systemIdentifier: string;
  /** Any moment from here on, as far as the archived WAL reaches; null where only the ends of backups can be restored. */
  readonly anyMomentFrom: string | null;
  /** The ends of the backups, oldest first: each can be restored to that very moment. */
  readonly moments: readonly string[];
}

/** What a policy would do, object by object, and what could be restored before and after. Plain JSON. */
export interface RetentionExplanation {
  readonly policy: RetentionPolicy;
  readonly plan: ExpirationPlan;
  readonly objects: readonly RetainedObject[];
  readonly before: readonly RecoveryWindow[];
  readonly after: readonly RecoveryWindow[];
}

/**
 * Simulates a policy: says of every object why it stays or goes, and which moments could be restored before and after.
 * Changes nothing; what is expired is `plan`.
 * @param now milliseconds since the epoch
 */
export function explainRetention(catalog: Catalog, policy: RetentionPolicy, now: number): RetentionExplanation {
  const plan = planExpiration(catalog, policy, now);
  const kept = new Set(plan.keep.map(({ systemIdentifier, label }) => `${systemIdentifier}/${label}`));
  const staying = catalog.backups.filter((b) => kept.has(`${b.systemIdentifier}/${b.label}`));
  return {
    policy,
    plan,
    objects: [...backupObjects(catalog, plan), ...unusableObjects(catalog, plan), ...walObjects(catalog, plan)],
    before: windowsOf(catalog.backups, catalog, new Map()),
    after: windowsOf(staying, catalog, new Map(plan.wal?.map((wal) => [wal.systemIdentifier, wal.keepFromLsn]))),
  };
}

function backupObjects({ backups }: Catalog, plan: ExpirationPlan): RetainedObject[] {
  return backups.map(({ label, systemIdentifier, storedBytes }) => {
    const same = (other: { readonly label: string; readonly systemIdentifier: string }): boolean =>
      other.label === label && other.systemIdentifier === systemIdentifier;
    const stays = plan.keep.find(same);
    const why = stays?.reasons.join("; ") ?? plan.expire.find(same)?.reason ?? "";
    return { kind: "backup", name: label, systemIdentifier, stays: stays !== undefined, why, storedBytes };
  });
}

function unusableObjects({ unusable }: Catalog, plan: ExpirationPlan): RetainedObject[] {
  return unusable.map(({ label, systemIdentifier, storedBytes, reason }) => {
    const goes = plan.incomplete.find((other) => other.label === label && other.systemIdentifier === systemIdentifier);
    const stays = reason === "damaged" ? "damaged: look at it before it goes" : "may still be running";
    return { kind: "unusable", name: label, systemIdentifier, stays: !goes, why: goes?.reason ?? stays, storedBytes };
  });
}

function walObjects({ wal = [] }: Catalog, plan: ExpirationPlan): RetainedObject[] {
  return wal.flatMap(({ systemIdentifier, files }) => {
    const decided = plan.wal?.find((archive) => archive.systemIdentifier === systemIdentifier);
    const going = new Set(decided?.expire.map(({ name }) => name));
    return files.map(({ name, storedBytes }): RetainedObject => {
      const stays = !going.has(name);
      const isHistory = parseWalName(name)?.kind === "history";
      const why = isHistory ? "tells which timeline comes from which" : (decided?.reason ?? "");
      return { kind: "wal", name, systemIdentifier, stays, why, storedBytes };
    });
  });
}

function windowsOf(
  backups: readonly BackupInfo[],
  { wal = [] }: Catalog,
  keptFrom: ReadonlyMap<string, string | null>,
): RecoveryWindow[] {
  const clusters = Map.groupBy(backups, ({ systemIdentifier }) => systemIdentifier);
  return [...clusters].map(([systemIdentifier, group]) => {
    const oldestFirst = group.toSorted((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1));
    const archive = wal.find((holdings) => holdings.systemIdentifier === systemIdentifier);
    const from = keptFrom.get(systemIdentifier) ?? oldestWal(archive);
    // Recovery to any moment begins with a backup whose WAL is archived from its start on.
    const first = oldestFirst.find(({ startLsn }) => from !== null && parseLsn(startLsn) >= parseLsn(from));
    return {
      systemIdentifier,
      anyMomentFrom: first?.stoppedAt ?? null,
      moments: oldestFirst.map(({ stoppedAt }) => stoppedAt),
    };
  });
}

/** Where an archive begins; null when it holds no segment. */
function oldestWal(archive: WalHoldings | undefined): string | null {
  if (!archive || archive.segmentBytes === 0) return null;
  const starts = archive.files.flatMap(({ name }) => {
    const parsed = parseWalName(name);
    return parsed?.kind === "segment" ? [segmentStart(parsed.segment, archive.segmentBytes)] : [];
  });
  return starts.length === 0 ? null : formatLsn(starts.reduce((low, start) => (start < low ? start : low)));
}
