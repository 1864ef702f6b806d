import { type Clock, noLogger } from "@db/core";
import { createAlertEngine, defaultRules, type MetricTable, type Snapshot } from "@db/monitor";
import { describe, expect, test } from "vitest";
import { type CaseSeries, type RuleCase, ruleCases } from "./rule-cases.ts";

test("every level of every rule has a case that fires and one that is silent", () => {
  const wanted = defaultRules.flatMap(({ name, levels }) => levels.map(({ severity }) => `${name} ${severity}`));
  expect(ruleCases.map(({ rule, severity }) => `${rule} ${severity}`).toSorted()).toEqual(wanted.toSorted());
});

describe("in this process", () => {
  for (const each of ruleCases) {
    test(`${each.rule} fires with ${each.severity}, and is silent in the nearest state that is well`, () => {
      expect(firing(each, each.fires)).toEqual([each.severity]);
      expect(firing(each, each.silent)).toEqual([]);
    });
  }
});

/** Severities with which a rule fires after its minutes of one collection each. */
function firing({ rule, atMinute }: RuleCase, series: readonly CaseSeries[]): readonly string[] {
  let minute = 0;
  const clock: Clock = { now: () => minute * 60_000, sleep: () => Promise.resolve() };
  const engine = createAlertEngine({
    rules: defaultRules.filter(({ name }) => name === rule),
    clock,
    logger: noLogger,
    onAlert: () => undefined,
  });
  for (; minute <= atMinute; minute++) engine.evaluate(snapshotAt(series, minute));
  return engine.alerts().flatMap(({ state, severity }) => (state === "firing" ? [severity] : []));
}

function snapshotAt(series: readonly CaseSeries[], minute: number): Snapshot {
  const block = (ofServer: string | undefined) => ({
    collector: "test",
    tier: "T0" as const,
    asOf: null,
    ageMs: 0,
    everyMs: 15_000,
    durationMs: 1,
    success: true,
    tables: series
      .filter(({ labels, until }) => labels["server"] === ofServer && minute <= (until ?? Number.POSITIVE_INFINITY))
      .map(({ metric, labels, from, step }): MetricTable => {
        const names = Object.keys(labels).filter((name) => name !== "server");
        return {
          labelNames: names,
          metrics: [metric],
          rows: [{ labels: names.map((name) => labels[name] ?? ""), values: [from + step * minute] }],
        };
      }),
  });
  const names = new Set(series.flatMap(({ labels }) => labels["server"] ?? []));
  return {
    asOf: new Date(minute * 60_000).toISOString(),
    servers: [...names].map((name) => ({
      name,
      up: true,
      role: "primary",
      versionNum: 180_000,
      durationMs: 1,
      blocks: [block(name)],
      facts: {},
    })),
    blocks: [block(undefined)],
    families: [],
  };
}
