import { type Clock, noLogger } from "@db/core";
import {
  type AlertEngine,
  type AlertEvent,
  type AlertRule,
  arithmetic,
  createAlertEngine,
  increase,
  metric,
  type RuleOverride,
  time,
} from "@db/monitor";
import { describe, expect, test } from "vitest";
import { snapshotOf } from "./snapshot-of.ts";

const lockWait: AlertRule = {
  name: "LockWait",
  finding: "LOCK-WAIT",
  title: "a session on {server} waits",
  expression: metric("wait_seconds"),
  fires: "above",
  levels: [
    { severity: "page", threshold: 120, forMs: 30_000, clear: 60 },
    { severity: "warn", threshold: 30, forMs: 30_000, clear: 15 },
  ],
  unit: "s",
  hint: "End it.",
  command: "select '{server}';",
};

interface Bench {
  readonly events: AlertEvent[];
  readonly engine: AlertEngine;
  /** Moves the clock and gives the engine one value. */
  readonly at: (seconds: number, value: number | undefined) => readonly string[];
}

function bench(
  rules: readonly AlertRule[] = [lockWait],
  options: Partial<Parameters<typeof createAlertEngine>[0]> = {},
  metricName = "wait_seconds",
): Bench {
  let now = 0;
  const clock: Clock = { now: () => now, sleep: () => Promise.resolve() };
  const events: AlertEvent[] = [];
  const engine = createAlertEngine({
    rules,
    clock,
    logger: noLogger,
    onAlert: (event) => void events.push(event),
    ...options,
  });
  return {
    events,
    engine,
    at(seconds, value) {
      now = seconds * 1000;
      const snapshot = snapshotOf({ primary: value === undefined ? {} : { [metricName]: value } });
      return engine.evaluate(snapshot).map(({ kind, alert }) => `${kind} ${alert.severity}`);
    },
  };
}

describe("alert engine", () => {
  test("fires only after the condition has held for as long as the rule says", () => {
    const { at, engine } = bench();
    expect(at(0, 40)).toEqual([]);
    expect(engine.alerts()[0]).toMatchObject({ state: "pending", severity: "warn", value: 40, threshold: 30 });
    expect(at(29, 41)).toEqual([]);
    expect(at(30, 42)).toEqual(["firing warn"]);
    expect(engine.alerts()[0]).toMatchObject({ state: "firing", since: "1970-01-01T00:00:00.000Z" });
  });

  test("starts waiting anew when the condition lapses before it fired", () => {
    const { at } = bench();
    at(0, 40);
    at(20, 10);
    at(25, 40);
    expect(at(40, 40)).toEqual([]);
    expect(at(55, 40)).toEqual(["firing warn"]);
  });

  test("tells of an alert once, however long it fires", () => {
    const { at, events } = bench();
    at(0, 40);
    at(30, 40);
    at(60, 40);
    at(90, 40);
    expect(events).toHaveLength(1);
  });

  test("clears below the clear level, not at the threshold", () => {
    const { at, engine } = bench();
    at(0, 40);
    at(30, 40);
    expect(at(45, 29)).toEqual([]);
    expect(at(60, 16)).toEqual([]);
    expect(at(75, 15)).toEqual(["cleared warn"]);
    expect(engine.alerts()).toEqual([]);
  });

  test("tells again when it gets worse, and when it gets better, and says what it was", () => {
    const { at, events } = bench();
    at(0, 40);
    at(30, 130);
    expect(at(60, 140)).toEqual(["firing page"]);
    expect(events.at(-1)).toMatchObject({ previousSeverity: "warn" });
    expect(at(90, 50)).toEqual(["firing warn"]);
    expect(events.at(-1)).toMatchObject({ previousSeverity: "page" });
    expect(at(120, 0)).toEqual(["cleared warn"]);
  });

  test("clears when the series is gone", () => {
    const { at } = bench();
    at(0, 40);
    at(30, 40);
    expect(at(45, undefined)).toEqual(["cleared warn"]);
  });

  test("keeps every event in its history, bounded", () => {
    const { at, engine } = bench([lockWait], { historyLimit: 2 });
    at(0, 40);
    at(30, 40);
    at(60, 0);
    at(90, 40);
    at(120, 40);
    expect(engine.history().map(({ kind, at: when }) => `${kind} ${when}`)).toEqual([
      "cleared 1970-01-01T00:01:00.000Z",
      "firing 1970-01-01T00:02:00.000Z",
    ]);
  });

  test("goes on when a listener throws or rejects", async () => {
    const errors: string[] = [];
    const logger = { ...noLogger, error: (_: unknown, message: string) => void errors.push(message) };
    const { at, engine } = bench([lockWait], { logger, onAlert: () => Promise.reject(new Error("mail is down")) });
    at(0, 40);
    expect(at(30, 40)).toEqual(["firing warn"]);
    await engine.settled();
    expect(errors).toEqual(["an alert listener failed"]);
    expect(at(60, 0)).toEqual(["cleared warn"]);
  });

  describe("with overrides", () => {
    const withOverride = (override: Omit<RuleOverride, "rule">): Bench =>
      bench([lockWait], { overrides: [{ rule: "LockWait", ...override }] });

    test("uses their threshold and clears at it", () => {
      const { at } = withOverride({ server: "primary", thresholds: { warn: 1 }, forMs: 0 });
      expect(at(0, 1.5)).toEqual(["firing warn"]);
      expect(at(1, 0.9)).toEqual(["cleared warn"]);
    });

    test("leaves other servers alone", () => {
      const { at } = withOverride({ server: "replica-1", thresholds: { warn: 1 }, forMs: 0 });
      expect(at(0, 1.5)).toEqual([]);
    });

    test("turns a rule off", () => {
      const { at } = withOverride({ disabled: true });
      at(0, 500);
      expect(at(60, 500)).toEqual([]);
    });
  });

  describe("in a blackout", () => {
    const minute = { blackouts: [{ from: "00:00", to: "00:01" }] };

    test("keeps the alert and marks its events as not to be sent, its end included", () => {
      const { at, engine, events } = bench([lockWait], minute);
      at(0, 40);
      at(30, 40);
      expect(events[0]?.suppressed).toBe(true);
      expect(engine.alerts()).toHaveLength(1);
      at(60, 0);
      expect(events[1]).toMatchObject({ kind: "cleared", suppressed: true });
    });

    test("that ends before the alert does leaves it to be told, once", () => {
      const { at, events } = bench([lockWait], minute);
      at(0, 40);
      at(30, 40);
      expect(at(61, 40)).toEqual(["firing warn"]);
      expect(at(90, 40)).toEqual([]);
      expect(at(120, 0)).toEqual(["cleared warn"]);
      expect(events.map(({ suppressed }) => suppressed)).toEqual([true, false, false]);
    });

    test("covers a night over midnight, only for the rules it names", () => {
      const night = { from: "23:00", to: "01:00" };
      const one = bench([lockWait], { blackouts: [{ ...night, rules: ["LockWait"] }] });
      one.at(0, 40);
      one.at(30, 40);
      expect(one.events[0]?.suppressed).toBe(true);
      const other = bench([lockWait], { blackouts: [{ ...night, rules: ["Other"] }] });
      other.at(0, 40);
      other.at(30, 40);
      expect(other.events[0]?.suppressed).toBe(false);
    });
  });

  test("sees growth of a counter over a reset", () => {
    const rule: AlertRule = {
      ...lockWait,
      expression: increase("deadlocks", 5),
      levels: [{ severity: "warn", threshold: 5 }],
    };
    const { at } = bench([rule], {}, "deadlocks");
    expect(at(0, 100)).toEqual([]);
    expect(at(60, 103)).toEqual([]);
    expect(at(120, 4)).toEqual(["firing warn"]);
    expect(at(600, 4)).toEqual(["cleared warn"]);
  });

  test("fires below a threshold for rules that say so", () => {
    const rule: AlertRule = {
      ...lockWait,
      fires: "below",
      expression: arithmetic(time(), "-", metric("start")),
      levels: [{ severity: "info", threshold: 300 }],
    };
    const { at } = bench([rule], {}, "start");
    expect(at(1000, 900)).toEqual(["firing info"]);
    expect(at(1200, 900)).toEqual(["cleared info"]);
  });

  test.each([
    ["s", 93_600, "1 d 2 h"],
    ["×", 3.456_78, "3.46"],
    [undefined, 2, "2"],
  ])("writes a value in %s into the title as people read it", (unit, value, text) => {
    const rule: AlertRule = {
      ...lockWait,
      title: "it is {value}",
      levels: [{ severity: "warn", threshold: 1 }],
      ...(unit === undefined ? {} : { unit }),
    };
    const { unit: _, ...unitless } = rule;
    const { at, engine } = bench([unit === undefined ? unitless : rule]);
    at(0, value);
    expect(engine.alerts()[0]?.title).toBe(`it is ${text}`);
  });

  test("fills in the title and quotes what it puts into the command", () => {
    let now = 0;
    const engine = createAlertEngine({
      rules: [{ ...lockWait, levels: [{ severity: "warn", threshold: 1 }] }],
      clock: { now: () => now++, sleep: () => Promise.resolve() },
      logger: noLogger,
      onAlert: () => undefined,
    });
    engine.evaluate(snapshotOf({ "o'hara": { wait_seconds: 2 } }));
    expect(engine.alerts()[0]).toMatchObject({
      title: "a session on o'hara waits",
      command: "select 'o''hara';",
      group: "LockWait/o'hara",
    });
  });
});
