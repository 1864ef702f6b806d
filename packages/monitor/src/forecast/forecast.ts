import { type Buckets, gather, type Point } from "./buckets.ts";
import { findSeason, type Season, withoutSeason } from "./season.ts";
import { fitTrend, type Trend, withoutJumps } from "./trend.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** What is compared where too little is known to see days. */
const bucketsInBlock = 5;

export interface ForecastOptions {
  /** The value that must not be reached. */
  readonly limit: number;
  /** How far to look, milliseconds. Default two years. */
  readonly horizonMs?: number;
}

/** When a series reaches its limit. Days count from the last point; `null` is beyond the horizon, or never. */
export interface Forecast {
  /**
   * `reached`: it is there. `expected`: it gets there within the horizon. `unlikely`: it does not, on its present
   * course. `unknown`: there are too few points to say.
   */
  readonly verdict: "reached" | "expected" | "unlikely" | "unknown";
  readonly days: number | null;
  /** Four of five times it is not before this, and not after `latestDays`, if it stays on its course. */
  readonly earliestDays: number | null;
  readonly latestDays: number | null;
  /** Growth a day on the present course. */
  readonly perDay: number;
  /** The limit, and the last value without noise. */
  readonly limit: number;
  readonly level: number;
  /** Since when it is on this course, milliseconds since the epoch: the first point, or the last change of growth. */
  readonly since: number;
  /** What repeats and was taken into account. */
  readonly seasons: readonly Season["name"][];
}

/** Where four of five fall, of a normal distribution. */
const fourOfFive = 1.2816;
/** Moments looked at, where nothing repeats between them. */
const mostSteps = 20_000;

/**
 * Says when a series reaches its limit: the days and weeks that repeat are taken out, a line is fitted to what came
 * after the last change of course, and both are continued until the limit is met. The band is that of the line's
 * slope and of the values about it; that growth itself may change is not in it.
 */
export function forecast(points: readonly Point[], { limit, horizonMs = 730 * dayMs }: ForecastOptions): Forecast {
  const buckets = gather(points);
  if (!buckets) return unknown(points, limit);
  const { trend, seasons } = decompose(buckets);
  const { from, widthMs, values } = buckets;
  const perDay = (trend.slope * dayMs) / widthMs;
  const common = {
    perDay,
    limit,
    level: trend.level,
    since: from + trend.since * widthMs,
    seasons: seasons.map(({ name }) => name),
  };
  const last = values.length - 1;
  const steps = Math.ceil(horizonMs / widthMs);
  const meets = (deviations: number): number | null => {
    const step = firstAtLimit({ trend, seasons, last, limit, steps, deviations });
    return step === undefined ? null : (step * widthMs) / dayMs;
  };
  if (values[last]! >= limit) return { verdict: "reached", days: 0, earliestDays: 0, latestDays: 0, ...common };
  const days = meets(0);
  return {
    verdict: days === null ? "unlikely" : "expected",
    days,
    // A bucket is not told apart from its neighbours.
    earliestDays: shift(meets(fourOfFive), -widthMs / dayMs),
    latestDays: shift(meets(-fourOfFive), widthMs / dayMs),
    ...common,
  };
}

function shift(days: number | null, by: number): number | null {
  return days === null ? null : Math.max(0, days + by);
}

/**
 * Days first: their medians hardly notice a jump, while a load that comes every night would be taken for one. Then
 * jumps, which a week, seen only a few times, would take for its own.
 */
function decompose({ values, widthMs }: Buckets): { readonly trend: Trend; readonly seasons: readonly Season[] } {
  if (widthMs !== hourMs) return { trend: fitTrend(withoutJumps(values), bucketsInBlock), seasons: [] };
  const day = findSeason(values, "day", 24);
  const smooth = withoutJumps(day ? withoutSeason(values, day) : values);
  const week = findSeason(smooth, "week", 24 * 7);
  const seasons = [day, week].filter((season) => season !== undefined);
  return { trend: fitTrend(week ? withoutSeason(smooth, week) : smooth, 24), seasons };
}

/** Buckets from the last one until trend and seasons together meet the limit, so many deviations off the likeliest. */
function firstAtLimit(of: {
  readonly trend: Trend;
  readonly seasons: readonly Season[];
  readonly last: number;
  readonly limit: number;
  readonly steps: number;
  readonly deviations: number;
}): number | undefined {
  const { trend, seasons, last, limit, steps, deviations } = of;
  const { level, slope, slopeVariance, wander, noise } = trend;
  const stride = seasons.length > 0 ? 1 : Math.max(1, Math.floor(steps / mostSteps));
  for (let step = 1; step <= steps; step += stride) {
    const season = seasons.reduce((sum, { profile }) => sum + profile[(last + step) % profile.length]!, 0);
    const deviation = Math.sqrt(noise + wander * step + slopeVariance * step * step);
    if (level + slope * step + season + deviations * deviation >= limit) return step;
  }
  return undefined;
}

function unknown(points: readonly Point[], limit: number): Forecast {
  const last = points.findLast(([, value]) => value !== null);
  return {
    verdict: "unknown",
    days: null,
    earliestDays: null,
    latestDays: null,
    perDay: 0,
    limit,
    level: last?.[1] ?? 0,
    since: points[0]?.[0] ?? 0,
    seasons: [],
  };
}
