import {
  aggregate,
  and,
  arithmetic,
  compare,
  defaultRules,
  type Expression,
  metric,
  number,
  unless,
} from "@db/monitor";
import { describe, expect, test } from "vitest";
import { evaluate } from "../src/alerts/evaluate.ts";
import { SampleWindow } from "../src/alerts/window.ts";
import { toPromql } from "../src/prometheus/promql.ts";
import { snapshotOf } from "./snapshot-of.ts";

const snapshot = snapshotOf({
  primary: {
    sessions: [
      [{ datname: "app", state: "active" }, 3],
      [{ datname: "app", state: "idle" }, 5],
      [{ datname: "other", state: "idle" }, 1],
    ],
    max: 10,
  },
  "replica-1": { sessions: [[{ datname: "app", state: "active" }, 7]], max: 20 },
});

const values = (expression: Expression): Record<string, number> =>
  Object.fromEntries(
    evaluate(expression, { snapshot, window: new SampleWindow(new Map()), now: 0 }).map(({ labels, value }) => [
      Object.values(labels).join("/"),
      value,
    ]),
  );

describe("an expression", () => {
  test("sums per server and label, never over servers unless told to", () => {
    expect(values(aggregate("sum", metric("sessions")))).toEqual({ primary: 9, "replica-1": 7 });
    expect(values(aggregate("sum", metric("sessions"), ["datname"]))).toEqual({
      "primary/app": 8,
      "primary/other": 1,
      "replica-1/app": 7,
    });
    expect(values(aggregate("count", metric("max"), [], { acrossServers: true }))).toEqual({ "": 2 });
  });

  test("divides many series of a server by its one", () => {
    const ratio = arithmetic(aggregate("sum", metric("sessions"), ["datname"]), "/", metric("max"), []);
    expect(values(ratio)).toEqual({ "primary/app": 0.8, "primary/other": 0.1, "replica-1/app": 0.35 });
  });

  test("selects by equal and by different labels", () => {
    expect(values(metric("sessions", { state: "idle", datname: { not: "other" } }))).toEqual({ "primary/app/idle": 5 });
  });

  test("keeps or drops series by whether others match", () => {
    const busy = compare(metric("sessions", { state: "active" }), ">", 5);
    expect(values(and(metric("max"), busy))).toEqual({ "replica-1": 20 });
    expect(values(unless(metric("max"), busy))).toEqual({ primary: 10 });
  });

  test("gives nothing, not NaN, for nothing divided by nothing", () => {
    expect(values(arithmetic(number(0), "/", arithmetic(metric("max"), "-", metric("max"))))).toEqual({});
  });

  test("reads in PromQL as it is evaluated here", () => {
    const expression = and(
      arithmetic(aggregate("sum", metric("sessions", { state: { not: "idle" } }), ["datname"]), "/", metric("max"), []),
      compare(metric("max"), ">=", 1),
    );
    expect(toPromql(expression)).toBe(
      '((sum by (instance, server, datname) (sessions{state!="idle"}) / on (instance, server) group_left () max) ' +
        "and on (instance, server) (max >= 1))",
    );
  });
});

test("every default rule has its worst level first and clears on the near side of its threshold", () => {
  const order = { page: 0, warn: 1, info: 2 };
  for (const rule of defaultRules) {
    expect(rule.finding, rule.name).toMatch(/^[A-Z]+(-[A-Z]+)*$/);
    const ranks = rule.levels.map(({ severity }) => order[severity]);
    expect(ranks, rule.name).toEqual(ranks.toSorted((a, b) => a - b));
    for (const { threshold, clear = threshold } of rule.levels) {
      expect(rule.fires === "above" ? clear <= threshold : clear >= threshold, rule.name).toBe(true);
    }
  }
});
