/** A moment, milliseconds since the epoch, and the value then; `null` where nothing was known. */
export type Point = readonly [at: number, value: number | null];

const hourMs = 3_600_000;
/** From this span on, points are gathered by the hour, so that a day can be seen as a season. */
const dailyFrom = 3 * 24 * hourMs;
const fewestBuckets = 8;

/** Evenly spaced values without gaps. */
export interface Buckets {
  /** Start of the first bucket, milliseconds since the epoch. */
  readonly from: number;
  readonly widthMs: number;
  readonly values: Float64Array;
}

/**
 * Averages points into even buckets: hours where the points span three days, else a hundredth of the span. A bucket
 * without a point lies on the line between its neighbours. Undefined when there is too little to go by.
 */
export function gather(points: readonly Point[]): Buckets | undefined {
  const known = points
    .filter((point): point is readonly [number, number] => point[1] !== null && Number.isFinite(point[1]))
    .toSorted(([a], [b]) => a - b);
  const first = known[0]?.[0];
  const last = known.at(-1)?.[0];
  if (first === undefined || last === undefined || last <= first) return undefined;
  const widthMs = last - first >= dailyFrom ? hourMs : Math.max(1, (last - first) / 100);
  const from = widthMs === hourMs ? Math.floor(first / hourMs) * hourMs : first;
  const count = Math.floor((last - from) / widthMs) + 1;
  const sums = new Float64Array(count);
  const counts = new Uint32Array(count);
  for (const [at, value] of known) {
    const bucket = Math.min(count - 1, Math.floor((at - from) / widthMs));
    sums[bucket]! += value;
    counts[bucket]! += 1;
  }
  const filled = counts.reduce((sum, each) => sum + (each > 0 ? 1 : 0), 0);
  if (filled < fewestBuckets) return undefined;
  return { from, widthMs, values: bridge(sums.map((sum, i) => (counts[i]! > 0 ? sum / counts[i]! : Number.NaN))) };
}

/** Puts values on the straight line between their known neighbours. The first and the last are known. */
function bridge(values: Float64Array): Float64Array {
  let known = 0;
  for (let i = 1; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    for (let gap = known + 1; gap < i; gap++) {
      values[gap] = values[known]! + ((values[i]! - values[known]!) * (gap - known)) / (i - known);
    }
    known = i;
  }
  return values;
}
