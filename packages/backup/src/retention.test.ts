import { describe, expect, test } from "vitest";
import type { BackupInfo } from "./manifest.ts";
import { planExpiration, type RetentionPolicy } from "./retention.ts";

const dayMs = 86_400_000;
const now = Date.UTC(2026, 10, 21, 12);

function backup(daysAgo: number, more: Partial<BackupInfo> = {}): BackupInfo {
  const stoppedAt = new Date(now - daysAgo * dayMs).toISOString();
  return {
    label: `${stoppedAt.slice(0, 10).replaceAll("-", "")}-${stoppedAt.slice(11, 19).replaceAll(":", "")}F`,
    type: "full",
    parent: null,
    status: "complete",
    systemIdentifier: "1",
    serverVersion: 180004,
    startedAt: stoppedAt,
    stoppedAt,
    startLsn: "0/2000028",
    stopLsn: "0/2000120",
    timeline: 1,
    fromStandby: false,
    encrypted: true,
    files: 1,
    bytes: 10,
    storedBytes: 5,
    tablespaces: [],
    databases: [],
    verifiedAt: stoppedAt,
    ...more,
  };
}

function dependent(full: BackupInfo, daysAgo: number): BackupInfo {
  const own = backup(daysAgo);
  return { ...own, label: `${full.label}_${own.label.slice(0, -1)}I`, type: "incremental", parent: full.label };
}

function kept(backups: BackupInfo[], policy: RetentionPolicy): string[] {
  return planExpiration({ backups, unusable: [] }, policy, now).keep.map(({ label }) => label);
}

describe("planExpiration", () => {
  test("keeps everything when no rule is set", () => {
    const backups = [backup(0), backup(400)];
    expect(kept(backups, {})).toHaveLength(2);
  });

  test("keeps the newest full backups and expires an incremental together with the full backup it needs", () => {
    const [old, recent] = [backup(5), backup(1)];
    const needing = dependent(old, 4);
    const plan = planExpiration({ backups: [recent, needing, old], unusable: [] }, { keepFull: 1 }, now);
    expect(plan.keep.map(({ label }) => label)).toEqual([recent.label]);
    expect(plan.expire.map(({ label }) => label)).toEqual([needing.label, old.label]);
    expect(plan.freedBytes).toBe(10);
  });

  test("keeps the full backup that an incremental inside the window needs, and what depends on it", () => {
    const [old, older] = [backup(9), backup(20)];
    const needing = dependent(old, 2);
    expect(kept([needing, old, older], { keepDays: 3, minVerified: 0 })).toEqual([needing.label, old.label]);
  });

  test("keeps the newest full backup before a window, from which its first moment is reached", () => {
    const backups = [backup(1), backup(6), backup(8), backup(9)];
    expect(kept(backups, { keepDays: 7 })).toEqual(backups.slice(0, 3).map(({ label }) => label));
  });

  test("keeps one backup per day, ISO week and month", () => {
    const backups = Array.from({ length: 60 }, (_, day) => backup(day));
    const labels = kept(backups, { tiers: { daily: 3, weekly: 2, monthly: 2 } });
    // Saturday 21st, 20th, 19th; the week before ends on Sunday 15th; October ends on the 31st.
    expect(labels.map((label) => label.slice(0, 8))).toEqual([
      "20261121",
      "20261120",
      "20261119",
      "20261115",
      "20261031",
    ]);
  });

  test("a suspect backup never pushes a good one out", () => {
    const good = backup(3);
    const suspect = backup(1, { status: "suspect", verifiedAt: null });
    expect(kept([suspect, good], { keepFull: 1 })).toEqual([suspect.label, good.label]);
    expect(kept([suspect], { keepFull: 0, minVerified: 0 })).toEqual([suspect.label]);
  });

  test("keeps an old verified backup while the newest are not verified", () => {
    const backups = [backup(1, { verifiedAt: null }), backup(2, { verifiedAt: null }), backup(3), backup(4)];
    expect(kept(backups, { keepFull: 1 })).toEqual([backups[0]!.label, backups[2]!.label]);
  });

  test("lets nothing go while too few are verified", () => {
    const backups = [backup(1, { verifiedAt: null }), backup(2, { verifiedAt: null })];
    const plan = planExpiration({ backups, unusable: [] }, { keepFull: 1 }, now);
    expect(plan.expire).toEqual([]);
    expect(plan.keep[1]?.reasons).toEqual(["only 0 of at least 1 full backups are verified"]);
  });

  test("judges every cluster by itself", () => {
    const backups = [backup(1), backup(30, { systemIdentifier: "2" })];
    expect(kept(backups, { keepFull: 1 })).toHaveLength(2);
  });

  test("removes what was never finished once it is old, and damaged ones never", () => {
    const folder = { systemIdentifier: "1", storedBytes: 7, lastWrittenAt: new Date(now - 2 * dayMs).toISOString() };
    const unusable = [
      { ...folder, label: "a", reason: "incomplete" as const },
      { ...folder, label: "b", reason: "damaged" as const },
      { ...folder, label: "c", reason: "incomplete" as const, lastWrittenAt: new Date(now).toISOString() },
    ];
    expect(planExpiration({ backups: [], unusable }, {}, now).incomplete.map(({ label }) => label)).toEqual(["a"]);
  });
});
