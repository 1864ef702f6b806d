import { describe, expect, it } from "vitest";
import { grow, type GrowthKind } from "@db/testkit";
import type { Point } from "./buckets.ts";
import { forecast } from "./forecast.ts";
import { median } from "./season.ts";

const hourMs = 3_600_000;
const from = Date.UTC(2026, 0, 1);
const hourly = (hours: number, value: (hour: number) => number | null): Point[] =>
  Array.from({ length: hours }, (_, hour) => [from + hour * hourMs, value(hour)] as const);

describe("forecast", () => {
  const kinds: Readonly<Record<GrowthKind, { readonly error: number; readonly inBand: number }>> = {
    linear: { error: 0.02, inBand: 0.8 },
    seasonal: { error: 0.02, inBand: 0.8 },
    step: { error: 0.05, inBand: 0.8 },
    faster: { error: 0.05, inBand: 0.8 },
    // Growth that is partly chance cannot be foreseen better than this; the band is to say so.
    wandering: { error: 0.15, inBand: 0.6 },
  };
  for (const [kind, { error, inBand }] of Object.entries(kinds)) {
    it(`foresees 200 ${kind} series with a median error of at most ${error * 100} %, most of them inside the band`, () => {
      const told = Array.from({ length: 200 }, (_, seed) => {
        const { known, limit, days } = grow(kind as GrowthKind, seed + 1);
        const { days: expected, earliestDays, latestDays } = forecast(known, { limit });
        return {
          error: expected === null ? 1 : Math.abs(expected - days) / days,
          inBand: earliestDays !== null && earliestDays <= days && days <= (latestDays ?? Number.POSITIVE_INFINITY),
        };
      });
      expect(median(told.map((each) => each.error))).toBeLessThanOrEqual(error);
      expect(told.filter((each) => each.inBand).length / told.length).toBeGreaterThanOrEqual(inBand);
    });
  }

  it("takes a load that comes every night for growth, not for jumps", () => {
    const points = hourly(20 * 24, (hour) => 24 * Math.floor((hour + 22) / 24));
    const { perDay, days, seasons } = forecast(points, { limit: 24 * 21 + 240 });
    expect(perDay).toBeCloseTo(24, 0);
    expect(seasons).toContain("day");
    expect(days).toBeGreaterThan(9);
    expect(days).toBeLessThan(12);
  });

  it("says that the limit is reached, and not when", () => {
    expect(
      forecast(
        hourly(100, (hour) => hour),
        { limit: 50 },
      ),
    ).toMatchObject({ verdict: "reached", days: 0 });
  });

  it("says that what shrinks does not get there", () => {
    const told = forecast(
      hourly(200, (hour) => 1_000 - hour),
      { limit: 2_000 },
    );
    expect(told).toMatchObject({ verdict: "unlikely", days: null, latestDays: null });
    expect(told.perDay).toBeCloseTo(-24);
  });

  it("says nothing from too few points", () => {
    expect(forecast([], { limit: 1 })).toMatchObject({ verdict: "unknown", days: null });
    expect(
      forecast(
        hourly(5, (hour) => hour),
        { limit: 9 },
      ),
    ).toMatchObject({ verdict: "unknown", level: 4 });
    expect(
      forecast(
        hourly(40, (hour) => (hour === 3 ? 7 : null)),
        { limit: 9 },
      ),
    ).toMatchObject({ verdict: "unknown" });
  });

  it("bridges hours that nobody watched", () => {
    const told = forecast(
      hourly(240, (hour) => (hour > 60 && hour < 120 ? null : hour)),
      { limit: 239 + 48 },
    );
    expect(told.days).toBeCloseTo(2, 0);
  });

  it("takes minutes where nothing else is known", () => {
    const minutes = Array.from({ length: 60 }, (_, i) => [from + i * 60_000, i] as const);
    expect(forecast(minutes, { limit: 59 + 60 * 24 }).days).toBeCloseTo(1, 1);
  });

  it("looks no further than its horizon", () => {
    expect(
      forecast(
        hourly(240, (hour) => hour),
        { limit: 1e9, horizonMs: 24 * hourMs },
      ).verdict,
    ).toBe("unlikely");
  });
});
