import type { Facts, Series } from "@db/monitor";
import { describe, expect, test } from "vitest";
import { anomalyFindings, findAnomalies } from "../src/anomaly/anomaly.ts";
import { snapshotOf } from "./snapshot-of.ts";

const hourMs = 3_600_000;
const minute = 60_000;
const now = Date.UTC(2026, 0, 20, 12, 30);

/** Commits: by the hour for a week, then by the minute for two hours; the last five minutes are `recent`. */
function commits(usual: (at: number) => number, recent: number, days = 7): readonly Series[] {
  const points: [number, number][] = [];
  for (let at = now - days * 24 * hourMs - 30 * minute; at < now - 2 * hourMs; at += hourMs)
    points.push([at, usual(at)]);
  for (let at = now - 2 * hourMs; at <= now; at += minute) {
    points.push([at, at > now - 5 * minute ? recent : usual(at)]);
  }
  return [{ name: "commits", title: "Commits", unit: "per second", labels: { server: "primary" }, points }];
}

const anomalies = (series: readonly Series[], facts: Facts = {}, metrics = {}) =>
  findAnomalies({
    seriesOf: (name) => series.filter((each) => each.name === name),
    snapshot: snapshotOf({ primary: metrics }, facts),
    now,
  });

/** A day's course: busy at noon, some chance in it. */
const day = (at: number): number =>
  500 + 400 * Math.sin(((at % (24 * hourMs)) / (24 * hourMs)) * 2 * Math.PI) + (at % 7);

describe("a course far from what it usually is", () => {
  test("is told with what is usual at this hour", () => {
    const [told] = anomalies(commits(day, 20));
    expect(told).toMatchObject({ series: "commits", value: 20, against: "same hour" });
    // The course is known by the hour.
    expect(told?.expected).toBeGreaterThan(day(now) - 100);
    expect(told?.expected).toBeLessThan(day(now) + 100);
  });

  test("is not told while it does what it does at this hour every day", () => {
    expect(anomalies(commits(day, day(now)))).toEqual([]);
  });

  test("is compared with the last hours while the days are not known", () => {
    expect(anomalies(commits(() => 100, 600, 0))[0]).toMatchObject({ against: "recent hours", expected: 100 });
  });

  test("is not told of a few commits more where there are hardly any", () => {
    expect(anomalies(commits(() => 0, 3))).toEqual([]);
  });
});

describe("what happens at the same time", () => {
  const session = {
    database: "app",
    user: "u",
    application: "importer",
    state: "idle in transaction",
    backendType: "client backend",
    wait: "",
    querySeconds: 1,
    stateSeconds: 1,
    backendStart: "2026-01-20T12:00:00Z",
    query: "",
    transactionSeconds: 120,
  };

  test("names the session that holds up the others, with the command that ends it", () => {
    const blocking = [
      { ...session, pid: 7, blockedBy: [], waitSeconds: null },
      { ...session, pid: 8, blockedBy: [7], waitSeconds: 30 },
    ];
    const [finding] = anomalyFindings(anomalies(commits(day, 20), { blocking }));
    expect(finding?.hint).toContain("Session 7 (importer, in its transaction for 2 min) holds up 1 session.");
    expect(finding?.command).toContain("pg_terminate_backend(pid)");
  });

  test("names a setting that was changed, from what to what", () => {
    const changed = { name: "work_mem", from: "4096", to: "64", unit: "kB", at: new Date(now - minute).toISOString() };
    const long = { ...changed, name: "jit", at: new Date(now - 2 * hourMs).toISOString() };
    const [told] = anomalies(commits(day, 20), { changedSettings: [changed, long] });
    expect(told?.causes.map(({ kind, text }) => [kind, text.slice(0, 47)])).toEqual([
      ["setting", "work_mem was changed from 4096 to 64 (kB) at 20"],
    ]);
  });

  test("names a query that became slower, and maintenance that runs", () => {
    const [told] = anomalies(
      commits(day, 20),
      {},
      {
        pg_query_regression_ratio: [[{ user: "u", datname: "app", queryid: "42" }, 5]],
        pg_stat_progress_vacuum_ratio: [[{ pid: "9", datname: "app", relid: "1", phase: "scanning heap" }, 0.5]],
      },
    );
    expect(told?.causes.map(({ text }) => text)).toEqual([
      "Query 42 is 5.0 times slower than usual.",
      "Session 9 runs vacuum in app.",
    ]);
  });

  test("is said to be nothing where nothing is", () => {
    expect(anomalyFindings(anomalies(commits(day, 20)))[0]?.hint).toBe("Nothing else stands out at the same time.");
  });
});
