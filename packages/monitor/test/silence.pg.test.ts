import { type Clock, noLogger } from "@db/core";
import {
  type AlertRule,
  createAlertEngine,
  createMonitor,
  createTableSilences,
  InvalidSilenceError,
  metric,
  type Monitor,
  type Silence,
} from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { snapshotOf } from "./snapshot-of.ts";

const always: AlertRule = {
  name: "Always",
  finding: "ALWAYS",
  title: "{server} is there",
  expression: metric("pg_up"),
  fires: "above",
  levels: [{ severity: "warn", threshold: 0 }],
  hint: "Nothing.",
};

let cluster: TestCluster;
let pool: Pool;
let watched: Pool;

beforeAll(async () => {
  cluster = await startCluster();
  pool = cluster.createPool({ max: 4 });
  watched = new Pool({ connectionString: cluster.primary.url, application_name: "db-monitor", max: 2 });
});
afterAll(async () => {
  await Promise.all([pool?.end(), watched?.end()]);
  await cluster?.stop();
});

beforeEach(async () => {
  await pool.query("drop schema if exists db_monitor cascade");
});

const untilAborted = (_ms: number, signal?: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });

/** A monitor whose one rule holds for as long as `holds` says, and what it told. */
function watch(clock: { now: number }, holds: () => boolean = () => true) {
  const told: string[] = [];
  const monitor: Monitor = createMonitor({
    db: watched,
    rules: [{ ...always, expression: metric("own_value") }],
    metrics: () => [
      { name: "own_value", help: "", type: "gauge", samples: [{ labels: { part: "a" }, value: holds() ? 1 : 0 }] },
    ],
    silences: createTableSilences({ db: pool }),
    waits: false,
    // Nothing is bounded by it: whatever is under way when it stops is waited for.
    clock: { now: () => clock.now, sleep: untilAborted },
    onAlert: ({ kind, suppressed }) => void told.push(`${kind}${suppressed ? " (not told)" : ""}`),
  });
  return { monitor, told };
}

describe("a silence", () => {
  test("is kept in a table, known to every process that watches, and ends by itself", async () => {
    const clock = { now: Date.parse("2026-03-01T10:00:00Z") };
    const first = watch(clock);
    const kept = await first.monitor.silence({ rule: "Always", reason: " upgrade ", by: "ann", forMs: 3_600_000 });
    expect(kept).toMatchObject({
      reason: "upgrade",
      by: "ann",
      until: "2026-03-01T11:00:00.000Z",
      endsWithAlert: false,
    });
    const second = watch(clock);
    await second.monitor.start();
    await second.monitor.stop();
    expect(await second.monitor.silences()).toEqual([kept]);
    expect(second.monitor.alerts()[0]).toMatchObject({ state: "firing", silence: { reason: "upgrade", by: "ann" } });
    expect(second.told).toEqual(["firing (not told)"]);
    clock.now += 3_600_000;
    await second.monitor.collect({ force: true });
    expect(second.told).toEqual(["firing (not told)", "firing"]);
    expect(await second.monitor.silences()).toEqual([]);
  });

  test("without an end acknowledges: it goes with the alert, and the next time is told", async () => {
    const clock = { now: Date.parse("2026-03-02T10:00:00Z") };
    let holds = true;
    const { monitor, told } = watch(clock, () => holds);
    await monitor.collect({ force: true });
    const { endsWithAlert, until } = await monitor.silence({ rule: "Always", reason: "known", by: "bob" });
    expect([endsWithAlert, until]).toEqual([true, "2026-03-09T10:00:00.000Z"]);
    await monitor.collect({ force: true });
    holds = false;
    await monitor.collect({ force: true });
    await monitor.stop();
    expect(await createTableSilences({ db: pool }).read(clock.now)).toEqual([]);
    holds = true;
    await monitor.collect({ force: true });
    expect(told).toEqual(["firing", "cleared (not told)", "firing"]);
  });

  test("can be ended before its time, by whoever knows its id", async () => {
    const clock = { now: Date.parse("2026-03-03T10:00:00Z") };
    const { monitor } = watch(clock);
    const { id } = await monitor.silence({ rule: "Always", reason: "a test", by: "cid", forMs: 60_000 });
    const other = watch(clock).monitor;
    expect(await other.unsilence(id)).toBe(true);
    expect(await other.unsilence(id)).toBe(false);
  });

  test("holds only for series with its labels", () => {
    const clock: Clock = { now: () => 0, sleep: () => Promise.resolve() };
    const silence: Silence = {
      id: "1",
      rule: "Always",
      labels: { server: "replica-1" },
      reason: "rebuilt",
      by: "dan",
      at: "1970-01-01T00:00:00.000Z",
      until: "1970-01-01T01:00:00.000Z",
      endsWithAlert: false,
    };
    const engine = createAlertEngine({
      rules: [always],
      silences: () => [silence],
      onAlert: () => undefined,
      clock,
      logger: noLogger,
    });
    const events = engine.evaluate(snapshotOf({ primary: { pg_up: 1 }, "replica-1": { pg_up: 1 } }));
    expect(events.map(({ alert, suppressed }) => [alert.server, suppressed])).toEqual([
      ["primary", false],
      ["replica-1", true],
    ]);
  });

  test("is refused with everything that is wrong at once, and nothing is kept", async () => {
    const { monitor } = watch({ now: 0 });
    const request = { rule: "Alway", reason: " ", by: "eve", forMs: 40 * 86_400_000 };
    const refused = await monitor.silence(request).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InvalidSilenceError);
    expect((refused as InvalidSilenceError).problems).toEqual([
      'there is no rule "Alway"',
      "the reason is empty",
      "it would last longer than 30 days",
    ]);
    expect(await createTableSilences({ db: pool }).read(0)).toEqual([]);
  });
});
