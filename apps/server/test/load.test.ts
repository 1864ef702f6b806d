import type { Snapshot } from "@db/orchestrator";
import { describe, expect, test } from "vitest";
import { waitChart, weekChart } from "../src/pages/load.ts";

type Context = Parameters<typeof waitChart>[0];
type Spans = ReturnType<Context["orchestrator"]["monitor"]["waits"]>;
type Series = ReturnType<Context["orchestrator"]["monitor"]["series"]>;

const asOf = "2026-03-10T12:00:00.000Z";
const to = Date.parse(asOf);
const week = 7 * 86_400_000;

function context(known: {
  readonly waits?: Spans;
  readonly series?: (query: { readonly agoMs?: number }) => Series;
}): Context {
  return {
    snapshot: { asOf, servers: [{ name: "primary" }] } as unknown as Snapshot,
    migrations: undefined,
    head: { range: "1h" },
    orchestrator: {
      monitor: { waits: () => known.waits ?? [], series: (_name, query) => known.series?.(query) ?? [] },
    },
  };
}

describe("load by wait event", () => {
  test("names the greatest events, tells the rest as one, and keeps the sum", () => {
    const load = Array.from({ length: 9 }, (_, i) => ({ type: "IO", event: `E${i}`, sessions: 9 - i }));
    const waits = [
      { at: to - 60_000, load: [...load, { type: "CPU", event: "", sessions: 20 }] },
      { at: to - 30_000, load: [] },
    ];
    const [chart] = waitChart(context({ waits }), { label: "processors", value: 2 });
    expect(chart!.series.map(({ label }) => label)).toEqual(["CPU", "IO: E0", "IO: E1", "IO: E2", "IO: E3", "other"]);
    const sum = (at: number) => chart!.series.reduce((total, { points }) => total + (points.at(at) ?? 0), 0);
    expect(sum(-3)).toBe(20 + 45);
    // A moment at which nobody was active is known to be calm.
    expect(sum(-2)).toBe(0);
    expect(chart!.series[0]!.points.at(-2)).toBe(0);
    expect(chart).toMatchObject({ stacked: true, limit: { value: 2 } });
  });

  test("is no chart without a sample", () => {
    expect(waitChart(context({}))).toEqual([]);
  });
});

describe("a week before", () => {
  const line = (type: string, points: readonly (readonly [number, number])[]): Series[number] => ({
    name: "load",
    unit: "sessions",
    title: "",
    labels: { server: "primary", wait_event_type: type },
    points,
  });
  const both = (value: number): Series => [
    line("", [
      [to - 120_000, value],
      [to - 60_000, value],
    ]),
    line("Lock", [
      [to - 120_000, 1],
      [to - 60_000, 1],
    ]),
  ];

  test("lies over now as the sum of all kinds", () => {
    const series = ({ agoMs = 0 }) => both(agoMs === week ? 8 : 3);
    const [chart] = weekChart(context({ series }));
    expect(chart!.series.map(({ label, points }) => [label, points.at(-3)])).toEqual([
      ["now", 4],
      ["a week before", 9],
    ]);
  });

  test("is left out while nothing, or a single hour, is remembered of it", () => {
    expect(weekChart(context({ series: ({ agoMs = 0 }) => (agoMs === 0 ? both(3) : []) }))).toEqual([]);
    const hour = [line("", [[to - 120_000, 5]])];
    expect(weekChart(context({ series: ({ agoMs = 0 }) => (agoMs === 0 ? both(3) : hour) }))).toEqual([]);
  });
});
