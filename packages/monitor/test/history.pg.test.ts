import { createMonitor, createTableHistory, type HistoryStore, type SeriesHour } from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const start = Date.UTC(2026, 0, 1);

let cluster: TestCluster;
let pool: Pool;
let history: HistoryStore;

beforeAll(async () => {
  cluster = await startCluster();
  pool = cluster.createPool({ max: 4 });
});

beforeEach(async () => {
  await pool.query("drop schema if exists db_monitor cascade");
  history = createTableHistory({ db: pool });
});

afterAll(async () => {
  await pool?.end();
  await cluster?.stop();
});

const hour = (at: number, average: number, name = "database.bytes"): SeriesHour => ({
  name,
  labels: { server: "primary", datname: `it's "app"` },
  at,
  average,
  highest: average + 1,
  samples: 240,
});
const byTime = (hours: readonly SeriesHour[]): readonly SeriesHour[] => hours.toSorted((a, b) => a.at - b.at);

describe("a history table", () => {
  test("gives back what was written, over midnight and in one row a series and day", async () => {
    const hours = [22, 23, 24, 49].map((each) => hour(start + each * hourMs, each / 3));
    await history.write(hours);
    expect(byTime(await history.read(start))).toEqual(hours);
    expect(byTime(await history.read(start + dayMs))).toEqual(hours.slice(2));
    const { rows } = await pool.query("select count(*)::int as days from db_monitor.history");
    expect(rows).toEqual([{ days: 3 }]);
  });

  test("adds hours to a day, and replaces one that is written again", async () => {
    await history.write([hour(start, 1), hour(start + hourMs, 2)]);
    await history.write([hour(start + hourMs, 20), hour(start + 2 * hourMs, 30)]);
    await history.write([hour(start + hourMs, 20), hour(start + 2 * hourMs, 30)]);
    expect(byTime(await history.read(0)).map(({ average }) => average)).toEqual([1, 20, 30]);
  });

  test("forgets whole days before a moment", async () => {
    await history.write([hour(start, 1), hour(start + dayMs, 2), hour(start + 2 * dayMs, 3)]);
    await history.expire(start + dayMs + 5 * hourMs);
    expect(byTime(await history.read(0)).map(({ average }) => average)).toEqual([2, 3]);
  });

  test("is made once by several processes that begin at the same moment", async () => {
    const stores = Array.from({ length: 4 }, () => createTableHistory({ db: pool }));
    await Promise.all(stores.map((store, i) => store.write([hour(start + i * hourMs, i)])));
    expect(await history.read(0)).toHaveLength(4);
  });

  test("tells a role that may not write what the server said, and can be used once it may", async () => {
    await pool.query("create role watcher login password 'watcher'");
    const url = new URL(cluster.primary.url);
    url.username = "watcher";
    url.password = "watcher";
    const limited = new Pool({ connectionString: url.href, max: 1 });
    try {
      const store = createTableHistory({ db: limited });
      await expect(store.write([hour(start, 1)])).rejects.toMatchObject({ code: "42501" });
      await pool.query("grant create on database postgres to watcher");
      await store.write([hour(start, 1)]);
      expect(await store.read(0)).toHaveLength(1);
    } finally {
      await limited.end();
      await pool.query("drop schema if exists db_monitor cascade");
      await pool.query("revoke create on database postgres from watcher; drop role watcher");
    }
  });
});

describe("a monitor with a history", () => {
  /** A clock that the test moves; nothing waits. */
  const watch = (now: { at: number }, store: HistoryStore): ReturnType<typeof createMonitor> =>
    createMonitor({
      db: pool,
      rules: [],
      history: store,
      clock: {
        now: () => now.at,
        sleep: (_ms, signal) =>
          new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("stopped")))),
      },
    });
  const known = (monitor: ReturnType<typeof createMonitor>, to: number): number =>
    monitor
      .series("connections.used", { from: start, to, stepMs: hourMs })
      .flatMap(({ points }) => points)
      .filter(([, value]) => value !== null).length;

  test("knows after a restart what it knew before, the hour it stopped in too", async () => {
    const now = { at: start + 10 * 60_000 };
    const first = watch(now, history);
    await first.start();
    for (let each = 0; each < 3; each++) {
      now.at += hourMs;
      await first.collect();
    }
    await first.stop();
    expect(known(first, now.at + 1)).toBe(4);

    now.at += 20 * 60_000;
    const second = watch(now, createTableHistory({ db: pool }));
    await second.start();
    await second.stop();
    // Three whole hours and the one that both saw.
    expect(known(second, now.at + 1)).toBe(4);
    const hours = (await history.read(0)).filter(({ name }) => name === "connections.used");
    expect(byTime(hours).map(({ samples }) => samples)).toEqual([1, 1, 1, 2]);
  });

  test("foresees from days that an earlier process saw", async () => {
    const now = { at: start + 30 * dayMs };
    const usable = 97;
    await history.write(
      Array.from({ length: 29 * 24 }, (_, each) => ({
        ...hour(start + dayMs + each * hourMs, 20 + each / 24, "connections.used"),
        labels: { server: "primary" },
      })),
    );
    await using monitor = watch(now, history);
    await monitor.start();
    const told = monitor.forecasts().find(({ resource }) => resource === "connections");
    expect(told).toMatchObject({ subject: "primary", limit: usable, verdict: "expected" });
    expect(told?.perDay).toBeCloseTo(1, 1);
    // Only this test is connected now: nearly all of them are left, at one a day.
    expect(told?.days).toBeCloseTo(usable, -1);
    expect(told?.latestDays ?? Number.POSITIVE_INFINITY).toBeGreaterThan(told?.days ?? 0);
  });

  test("collects all the same when the history cannot be read or written, and writes later what it could not", async () => {
    const now = { at: start };
    const gates = { open: false };
    const store: HistoryStore = {
      read: () => Promise.reject(new Error("away")),
      write: (hours) => (gates.open ? history.write(hours) : Promise.reject(new Error("away"))),
      expire: (before) => (gates.open ? history.expire(before) : Promise.reject(new Error("away"))),
    };
    const monitor = watch(now, store);
    await monitor.start();
    now.at += hourMs;
    await monitor.collect();
    expect(monitor.snapshot().servers[0]?.up).toBe(true);
    gates.open = true;
    now.at += hourMs;
    await monitor.collect();
    await monitor.stop();
    const hours = (await history.read(0)).filter(({ name }) => name === "connections.used");
    expect(hours).toHaveLength(3);
  });
});
