import { expect, test } from "vitest";
import type { BackupInfo } from "./manifest.ts";
import { planExpiration } from "./retention.ts";
import { explainRetention } from "./retention-explanation.ts";

const day = 86_400_000;
const now = Date.parse("2026-11-20T12:00:00Z");
const systemIdentifier = "7710581354411567716";
const segmentBytes = 16 * 1024 * 1024;

function backup(label: string, daysAgo: number, segment: number, more: Partial<BackupInfo> = {}): BackupInfo {
  const at = new Date(now - daysAgo * day).toISOString();
  return {
    label,
    type: "full",
    parent: null,
    status: "complete",
    systemIdentifier,
    serverVersion: 180_004,
    startedAt: at,
    stoppedAt: at,
    startLsn: `0/${segment.toString(16)}000028`,
    stopLsn: `0/${segment.toString(16)}0001F8`,
    timeline: 1,
    fromStandby: false,
    encrypted: true,
    files: 1,
    bytes: 1,
    storedBytes: 1,
    tablespaces: [],
    databases: [],
    verifiedAt: at,
    ...more,
  };
}

const file = (name: string): { name: string; storedBytes: number } => ({ name, storedBytes: 10 });
const segment = (n: number, timeline = 1): string =>
  `${String(timeline).padStart(8, "0")}00000000${n.toString(16).toUpperCase().padStart(8, "0")}`;
const files = [
  "00000002.history",
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => segment(n)),
  `${segment(2)}.00000028.backup`,
  `${segment(3, 2)}.partial-00001000`,
  segment(8, 2),
].map(file);
const wal = [{ systemIdentifier, segmentBytes, files }];
const backups = [backup("C", 1, 7), backup("B", 3, 5), backup("A", 9, 2)];

test("lets go the WAL before the oldest backup that stays, on every timeline, and no history", () => {
  const { wal: planned, expire } = planExpiration({ backups, unusable: [], wal }, { keepFull: 2 }, now);
  expect(expire.map(({ label }) => label)).toEqual(["A"]);
  expect(planned).toMatchObject([{ keepFromLsn: "0/5000000", keptFiles: 7, keptBytes: 70 }]);
  expect(planned![0]!.reason).toContain("backup B begins there");
  expect(planned![0]!.expire.map(({ name }) => name).sort()).toEqual(
    [
      ...[1, 2, 3, 4].map((n) => segment(n)),
      `${segment(2)}.00000028.backup`,
      `${segment(3, 2)}.partial-00001000`,
    ].sort(),
  );
});

test("reaches back only to the newest backups when told so; the older ones keep the WAL in their own folders", () => {
  const policy = { keepFull: 3, keepWalFull: 1 };
  const { wal: planned, expire } = planExpiration({ backups, unusable: [], wal }, policy, now);
  expect(expire).toEqual([]);
  expect(planned).toMatchObject([{ keepFromLsn: "0/7000000" }]);
});

test.each([
  ["no backup is left", []],
  ["only suspect ones are left", [backup("S", 1, 7, { status: "suspect" })]],
])("keeps all WAL when %s", (_, left) => {
  const { wal: planned } = planExpiration({ backups: left, unusable: [], wal }, { keepFull: 1 }, now);
  expect(planned).toMatchObject([{ keepFromLsn: null, expire: [], keptFiles: files.length }]);
});

test("WAL of another cluster is measured by that cluster's backups", () => {
  const other = [{ ...wal[0]!, systemIdentifier: "1" }];
  const { wal: planned } = planExpiration({ backups, unusable: [], wal: other }, { keepFull: 1 }, now);
  expect(planned).toMatchObject([{ systemIdentifier: "1", expire: [] }]);
});

test("a kept backup stays until its time, a held one for good, and neither counts for a rule", () => {
  const markedAt = new Date(now).toISOString();
  const keep = { kind: "keep", until: new Date(now + day).toISOString(), reason: "audit", markedAt } as const;
  const marked = [backup("D", 0, 9, { mark: { ...keep, kind: "hold", until: null } }), backups[0]!, backups[1]!];
  const all = [...marked, backup("A", 9, 2, { mark: keep })];
  const plan = planExpiration({ backups: all, unusable: [], wal }, { keepFull: 1 }, now);
  expect(plan.expire.map(({ label }) => label)).toEqual(["B"]);
  expect(plan.keep.find(({ label }) => label === "A")?.reasons).toEqual([`kept by hand until ${keep.until}: audit`]);
  expect(plan.keep.find(({ label }) => label === "D")?.reasons).toEqual(["held: audit"]);
  // What is kept for its own sake still needs its WAL to lead on from it.
  expect(plan.wal).toMatchObject([{ keepFromLsn: "0/2000000" }]);
  const later = planExpiration({ backups: all, unusable: [] }, { keepFull: 1 }, now + 2 * day);
  expect(later.expire.map(({ label }) => label)).toEqual(["A", "B"]);
});

test("a simulation says of every object why, and which moments are left", () => {
  const unfinished = {
    label: "X",
    systemIdentifier,
    reason: "incomplete",
    storedBytes: 5,
    lastWrittenAt: "2026-11-01T00:00:00Z",
  } as const;
  const told = explainRetention({ backups, unusable: [unfinished], wal }, { keepFull: 2 }, now);
  expect(JSON.parse(JSON.stringify(told))).toEqual(told);
  // Nothing is left out, and nothing is without a reason.
  expect(told.objects).toHaveLength(backups.length + 1 + files.length);
  expect(told.objects.filter(({ why }) => why === "")).toEqual([]);
  expect(told.plan).toEqual(planExpiration({ backups, unusable: [unfinished], wal }, { keepFull: 2 }, now));
  const going = told.objects.filter(({ stays }) => !stays).map(({ name }) => name);
  expect(going).toEqual(expect.arrayContaining(["A", "X", segment(1), segment(4), segment(2) + ".00000028.backup"]));
  expect(going).not.toContain(segment(5));
  expect(told.objects.find(({ name }) => name === "00000002.history")).toMatchObject({ stays: true });
  const at = (daysAgo: number): string => new Date(now - daysAgo * day).toISOString();
  expect(told.before).toEqual([{ systemIdentifier, anyMomentFrom: at(9), moments: [at(9), at(3), at(1)] }]);
  expect(told.after).toEqual([{ systemIdentifier, anyMomentFrom: at(3), moments: [at(3), at(1)] }]);
  const older = explainRetention({ backups, unusable: [], wal }, { keepFull: 3, keepWalFull: 1 }, now);
  expect(older.after).toEqual([{ systemIdentifier, anyMomentFrom: at(1), moments: [at(9), at(3), at(1)] }]);
});
