import { median } from "./season.ts";

/** The course a series is on: a line that is known with an error, and wanders. All by the bucket. */
export interface Trend {
  /** First bucket of the course: the first of all, or the last change of growth. */
  readonly since: number;
  readonly slope: number;
  /** Variance of the slope. */
  readonly slopeVariance: number;
  /** Variance that each further bucket adds, because growth is partly chance. */
  readonly wander: number;
  /** Where the series is at the last bucket. */
  readonly level: number;
  /** Variance of single values about the course. */
  readonly noise: number;
}

/** Growth in one bucket this many deviations from the usual is no growth but a jump. */
const jumpDeviations = 6;
/** Of so many blocks a course is made at least. */
const fewestBlocks = 3;
/** The last values say where the series is now. */
const lastFew = 6;

/**
 * Fits the course a series is on now. A change of growth cuts off what was before it, when the Bayesian information
 * criterion prefers two rates to one. Growth is compared block by block (a day), so that values which resemble their neighbours are not taken for evidence.
 *
 * The model is a line observed with noise whose level also takes a random walk; the walk's variance is what the growth
 * of blocks leaves over once the noise, which makes neighbouring blocks disagree, is taken off.
 *
 * @param perBlock buckets in a block
 * @see https://en.wikipedia.org/wiki/Bayesian_information_criterion
 */
export function fitTrend(values: Float64Array, perBlock: number): Trend {
  let since = 0;
  for (let at = changeOfGrowth(blockGrowth(values, perBlock)); at > 0;) {
    since += at * perBlock;
    at = changeOfGrowth(blockGrowth(values.subarray(since), perBlock));
  }
  return { since, ...fitLine(values.subarray(since), perBlock) };
}

/**
 * Takes jumps (a bulk load, a purge) out and keeps the growth on both sides: what was before each is moved to where it
 * would have been, had the jump been there from the start.
 */
export function withoutJumps(values: Float64Array): Float64Array {
  const growth = Array.from(values.subarray(1), (value, i) => value - values[i]!);
  const usual = median(growth);
  const deviation = 1.4826 * median(growth.map((each) => Math.abs(each - usual)));
  const result = Float64Array.from(values);
  let moved = 0;
  for (let i = growth.length - 1; i >= 0; i--) {
    const extra = growth[i]! - usual;
    if (Math.abs(extra) > jumpDeviations * deviation && deviation > 0) moved += extra;
    result[i]! += moved;
  }
  return result;
}

/** Growth from the mean of one block to that of the next, counted back from the last bucket. */
function blockGrowth(values: Float64Array, perBlock: number): number[] {
  const blocks = Math.floor(values.length / perBlock);
  const skipped = values.length - blocks * perBlock;
  const means = Array.from({ length: blocks }, (_, block) => {
    const from = skipped + block * perBlock;
    return values.subarray(from, from + perBlock).reduce((sum, value) => sum + value, 0) / perBlock;
  });
  return means.slice(1).map((value, i) => value - means[i]!);
}

/** The block after which growth is another, or 0. */
function changeOfGrowth(growth: readonly number[]): number {
  const count = growth.length;
  const sums = [0];
  const squares = [0];
  for (const each of growth) {
    sums.push(sums.at(-1)! + each);
    squares.push(squares.at(-1)! + each * each);
  }
  const left = (from: number, to: number): number => {
    const sum = sums[to]! - sums[from]!;
    return Math.max(0, squares[to]! - squares[from]! - (sum * sum) / (to - from));
  };
  const floor = 1e-9 * squares[count]! + Number.MIN_VALUE;
  const score = (rest: number, parameters: number): number =>
    count * Math.log((rest + floor) / count) + parameters * Math.log(count);
  let best = score(left(0, count), 2);
  let found = 0;
  for (let at = fewestBlocks; at + fewestBlocks <= count; at++) {
    // The place of the change is chosen among many: it counts as two parameters.
    const changed = score(left(0, at) + left(at, count), 5);
    if (changed >= best) continue;
    best = changed;
    found = at;
  }
  return found;
}

function fitLine(values: Float64Array, perBlock: number): Omit<Trend, "since"> {
  const count = values.length;
  const middle = (count - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const xx = (count * (count * count - 1)) / 12;
  const slope = xx === 0 ? 0 : values.reduce((sum, value, i) => sum + (value - mean) * (i - middle), 0) / xx;
  const off = values.map((value, i) => value - mean - slope * (i - middle));
  // Half the variance of differences of neighbours is the noise, whatever the level does more slowly.
  const noise =
    off.reduce((sum, each, i) => (i === 0 ? 0 : sum + (each - off[i - 1]!) ** 2), 0) / (2 * Math.max(1, count - 1));
  const wander = wanderOf(blockGrowth(values, perBlock)) / perBlock;
  return {
    slope,
    // Of a line through noise, and of a line through a random walk.
    slopeVariance: (xx === 0 ? 0 : noise / xx) + (1.2 * wander) / count,
    wander,
    level: mean + slope * middle + median(Array.from(off.subarray(-lastFew))),
    noise,
  };
}

/** The variance a random walk adds in a block: noise in a block's mean makes the next growth err the other way. */
function wanderOf(growth: readonly number[]): number {
  const count = growth.length;
  if (count < 2) return 0;
  const mean = growth.reduce((sum, each) => sum + each, 0) / count;
  const variance = growth.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (count - 1);
  const together =
    growth.reduce((sum, each, i) => (i === 0 ? 0 : sum + (each - mean) * (growth[i - 1]! - mean)), 0) / (count - 1);
  return Math.max(variance + 2 * together, variance / 4);
}
