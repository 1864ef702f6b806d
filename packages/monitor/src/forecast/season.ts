/** What repeats: the value to add to the trend, by the position in the season. Its mean is 0. */
export interface Season {
  readonly name: "day" | "week";
  readonly profile: Float64Array;
}

/** A season must explain this part of what a moving average leaves over, or it is taken for noise. */
const leastStrength = 0.2;
/** Seasons that must have been seen whole. */
const leastCycles = 3;

/**
 * Finds a season of `length` buckets by classical additive decomposition: what a centred moving average of one season
 * leaves over, its median by position. Medians, so that one odd day does not become a habit.
 *
 * @see https://otexts.com/fpp3/classical-decomposition.html
 * @returns undefined where fewer than three seasons are known or nothing repeats
 */
export function findSeason(values: Float64Array, name: Season["name"], length: number): Season | undefined {
  if (values.length < leastCycles * length) return undefined;
  const left = aboveTrend(values, length);
  const byPosition: number[][] = Array.from({ length }, () => []);
  for (const [i, value] of left.entries()) if (!Number.isNaN(value)) byPosition[i % length]!.push(value);
  const raw = Float64Array.from(byPosition, median);
  const mean = raw.reduce((sum, value) => sum + value, 0) / length;
  const profile = raw.map((value) => value - mean);
  let before = 0;
  let after = 0;
  for (const [i, value] of left.entries()) {
    if (Number.isNaN(value)) continue;
    before += Math.abs(value);
    after += Math.abs(value - profile[i % length]!);
  }
  return before > 0 && 1 - after / before >= leastStrength ? { name, profile } : undefined;
}

/** The values without what repeats. */
export function withoutSeason(values: Float64Array, { profile }: Season): Float64Array {
  return values.map((value, i) => value - profile[i % profile.length]!);
}

/** Values less their moving average over one season; NaN where half a season is missing on one side. */
function aboveTrend(values: Float64Array, length: number): Float64Array {
  const half = length / 2;
  const result = new Float64Array(values.length).fill(Number.NaN);
  if (values.length <= length) return result;
  // Over an even season the two ends count half each, so that the average lies on a bucket.
  let sum = 0;
  for (let i = 0; i < length; i++) sum += values[i]!;
  for (let i = half; i + half < values.length; i++) {
    const entering = values[i + half]!;
    const leaving = values[i - half]!;
    result[i] = values[i]! - (sum + (entering - leaving) / 2) / length;
    sum += entering - leaving;
  }
  return result;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
