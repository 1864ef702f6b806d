import { expect, test } from "vitest";
import { sortBackups, withSteadyTimes } from "./backup-order.ts";
import type { BackupInfo } from "./manifest.ts";

function backup(label: string, stopLsn: string, stoppedAt: string, more: Partial<BackupInfo> = {}): BackupInfo {
  return { label, stopLsn, stoppedAt, timeline: 1, systemIdentifier: "1", ...more } as BackupInfo;
}

const first = backup("first", "0/3000000", "2026-11-20T03:00:00.000Z");
const second = backup("second", "0/5000000", "2026-11-21T03:00:00.000Z");
// The clock had gone back by a year.
const third = backup("third", "0/7000000", "2025-11-22T03:00:00.000Z");

test("backups are in the order of their WAL, also when the clock went back", () => {
  expect(sortBackups([first, third, second]).map(({ label }) => label)).toEqual(["third", "second", "first"]);
});

test("a backup of a later timeline is later, although its position is before", () => {
  const forked = backup("forked", "0/4000000", "2026-11-21T04:00:00.000Z", { timeline: 2 });
  expect(sortBackups([second, forked, first]).map(({ label }) => label)).toEqual(["forked", "second", "first"]);
});

test("the clusters of one repository do not mix", () => {
  const other = backup("other", "0/9000000", "2026-11-20T12:00:00.000Z", { systemIdentifier: "2" });
  expect(sortBackups([first, other, second]).map(({ label }) => label)).toEqual(["second", "first", "other"]);
});

test("no backup is older than one taken before it; a time that lies ahead makes the later ones no younger", () => {
  const ahead = backup("ahead", "0/2000000", "2030-01-01T00:00:00.000Z");
  const times = withSteadyTimes(sortBackups([first, second, third, ahead]), Date.parse("2026-11-23T00:00:00Z"));
  expect(times.map(({ label, stoppedAt }) => [label, stoppedAt.slice(0, 10)])).toEqual([
    ["third", "2026-11-21"],
    ["second", "2026-11-21"],
    ["first", "2026-11-20"],
    ["ahead", "2030-01-01"],
  ]);
});
