import type { StatementFact } from "@db/monitor";
import { describe, expect, test } from "vitest";
import { hourMs, type SeriesHour } from "../src/history/history.ts";
import { Regressions } from "../src/regression/regressions.ts";
import { SeriesStore } from "../src/series.ts";
import { snapshotOf } from "./snapshot-of.ts";

const minute = 60_000;
const noon = Date.UTC(2026, 0, 20, 12);

/** A server that has run one query so often and so long since the beginning. */
function serverWith(now: number, calls: number, totalSeconds: number, queryId = "7") {
  const statement: StatementFact = {
    queryId,
    user: "u",
    database: "app",
    calls,
    totalSeconds,
    rows: 0,
    sharedBlocksHit: 0,
    sharedBlocksRead: 0,
    tempBlocksWritten: 0,
    own: false,
  };
  const server = snapshotOf({ primary: {} }, { statements: { state: "ready", top: [statement] } }).servers[0]!;
  const block = server.blocks[0]!;
  return { ...server, blocks: [{ ...block, collector: "stat_statements", asOf: new Date(now).toISOString() }] };
}

function watch(days: number): { readonly regressions: Regressions; readonly store: SeriesStore } {
  const store = new SeriesStore({ intervalMs: minute, historyMs: hourMs, keepHoursMs: 400 * 24 * hourMs });
  const labels = { server: "primary", user: "u", datname: "app", queryid: "7" };
  for (let day = days; day >= 1; day--) {
    const at = noon - day * 24 * hourMs;
    store.addHour("query.mean", labels, at, 0.1);
    // A slow hour besides: at night it is always slower.
    store.addHour("query.mean", labels, at + 3 * hourMs, 2);
  }
  return { regressions: new Regressions(store), store };
}

/** Ratios told after ten minutes of so many calls a minute, each so long. */
function after(regressions: Regressions, callsAMinute: number, seconds: number): readonly (number | null)[] {
  for (let i = 0; i <= 10; i++) {
    const now = noon + i * minute;
    regressions.record(serverWith(now, 1_000 + i * callsAMinute, 5_000 + i * callsAMinute * seconds), now);
  }
  return regressions.tableOf("primary")?.rows.flatMap(({ values }) => values) ?? [];
}

describe("a query is compared with itself at the same hour of the last days", () => {
  test("and told by how much it is slower", () => {
    expect(after(watch(7).regressions, 10, 0.4)[0]).toBeCloseTo(4);
  });

  test("but not before three days are known", () => {
    expect(after(watch(2).regressions, 10, 0.4)).toEqual([]);
    expect(after(watch(3).regressions, 10, 0.4)).toHaveLength(1);
  });

  test("nor when it is hardly run, or fast all the same", () => {
    expect(after(watch(7).regressions, 1, 0.4)).toEqual([]);
    expect(after(watch(7).regressions, 10, 0.04)).toEqual([]);
  });

  test("over a reset of the counters", () => {
    const { regressions } = watch(7);
    after(regressions, 10, 0.1);
    for (let i = 11; i <= 20; i++) {
      const now = noon + i * minute;
      regressions.record(serverWith(now, (i - 10) * 10, (i - 10) * 10 * 0.5), now);
    }
    expect(regressions.tableOf("primary")?.rows[0]?.values[0]).toBeCloseTo(5, 0);
  });

  test("with hours that outlive the process, and are forgotten after eight days", async () => {
    const { store } = watch(7);
    const hours: SeriesHour[] = [];
    await store.save(async (written) => void hours.push(...written), { unfinished: true });
    const next = new SeriesStore({ intervalMs: minute, historyMs: hourMs, keepHoursMs: 400 * 24 * hourMs });
    next.restore(hours, noon);
    expect(after(new Regressions(next), 10, 0.4)[0]).toBeCloseTo(4);
    const late = new SeriesStore({ intervalMs: minute, historyMs: hourMs, keepHoursMs: 400 * 24 * hourMs });
    late.restore(hours, noon + 9 * 24 * hourMs);
    expect(late.hoursOf("query.mean", Infinity)).toEqual([]);
  });
});
