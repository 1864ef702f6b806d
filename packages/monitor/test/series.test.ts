import { expect, test } from "vitest";
import { SeriesStore } from "../src/series.ts";
import { snapshotOf } from "./snapshot-of.ts";

const at = (blocked: number): ReturnType<typeof snapshotOf> =>
  snapshotOf({ primary: { pg_stat_activity_blocked_count: blocked } });

test("averages values into steps and says where nothing was seen", () => {
  const store = new SeriesStore({ intervalMs: 1000, historyMs: 60_000, keepHoursMs: 86_400_000 });
  store.record(at(2), 10_000);
  store.record(at(4), 11_000);
  store.record(at(9), 14_000);
  expect(store.query("blocked", { from: 10_000, to: 16_000, stepMs: 2000 })).toEqual([
    {
      name: "blocked",
      unit: "sessions",
      title: "Sessions waiting for a lock",
      labels: { server: "primary" },
      points: [
        [10_000, 3],
        [12_000, null],
        [14_000, 9],
      ],
    },
  ]);
});

test("forgets what is older than its history", () => {
  const store = new SeriesStore({ intervalMs: 1000, historyMs: 3000, keepHoursMs: 86_400_000 });
  for (let second = 0; second < 10; second++) store.record(at(second), second * 1000);
  const [series] = store.query("blocked", { from: 0, to: 10_000, stepMs: 1000 });
  expect(series?.points.filter(([, value]) => value !== null)).toEqual([
    [7000, 7],
    [8000, 8],
    [9000, 9],
  ]);
});

test("passes over snapshots that come much sooner than the interval", () => {
  const store = new SeriesStore({ intervalMs: 1000, historyMs: 60_000, keepHoursMs: 86_400_000 });
  store.record(at(1), 0);
  store.record(at(5), 899);
  store.record(at(3), 900);
  expect(store.query("blocked", { from: 0, to: 1000, stepMs: 1000 })[0]?.points).toEqual([[0, 2]]);
});

test("gives rates of counters, and none before there are two values", () => {
  const store = new SeriesStore({ intervalMs: 1000, historyMs: 60_000, keepHoursMs: 86_400_000 });
  const commits = (count: number): ReturnType<typeof snapshotOf> =>
    snapshotOf({ primary: { pg_stat_database_xact_commit: [[{ datid: "1", datname: "app" }, count]] } });
  store.record(commits(100), 0);
  store.record(commits(150), 10_000);
  expect(store.query("commits", { from: 0, to: 20_000, stepMs: 10_000 })[0]?.points).toEqual([
    [0, null],
    [10_000, 5],
  ]);
});

test("has nothing under a name it does not know", () => {
  expect(
    new SeriesStore({ intervalMs: 1, historyMs: 10, keepHoursMs: 10 }).query("nope", { from: 0, to: 1, stepMs: 1 }),
  ).toEqual([]);
});
