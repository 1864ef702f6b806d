import { randomNumbers } from "./shuffle.ts";

/** Middle and extremes of some numbers. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value, or the mean of the two middle ones. @throws {RangeError} for no values */
export function median(values: readonly number[]): number {
  const sorted = sort(values);
  const upper = sorted.length >> 1;
  const high = sorted[upper] as number;
  return sorted.length % 2 === 1 ? high : ((sorted[upper - 1] as number) + high) / 2;
}

/** The smallest value that at least `share` (0 to 1) of all values do not exceed. @throws {RangeError} for no values */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = sort(values);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

/** @throws {RangeError} for no values */
export function summarize(values: readonly number[]): Summary {
  const sorted = sort(values);
  return { median: median(values), min: sorted[0] as number, max: sorted.at(-1) as number };
}

/**
 * Within which bounds the median lies nineteen times of twenty, by drawing anew from the values 2,000 times.
 * @throws {RangeError} for no values
 */
export function bootstrapMedian(
  values: readonly number[],
  { seed }: { readonly seed: number },
): readonly [low: number, high: number] {
  const random = randomNumbers(seed);
  const medians = Array.from({ length: 2_000 }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] as number)),
  );
  return [percentile(medians, 0.025), percentile(medians, 0.975)];
}

/** Four significant digits: more of them would be noise. */
export function roundFigure(value: number): number {
  return Number(value.toPrecision(4));
}

function sort(values: ArrayLike<number>): Float64Array {
  if (values.length === 0) throw new RangeError("no values to summarize");
  return Float64Array.from(values).sort();
}
