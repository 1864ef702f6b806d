/** A histogram that only grows: observations up to each bound, the last one all. */
export interface GrowingHistogram {
  /** Seconds, ascending. */
  readonly bounds: readonly number[];
  /** Cumulative, one more than the bounds. */
  readonly counts: readonly number[];
}

/** Times of statements and of waits for a connection, seconds by percentile; `null` where nothing was observed. */
export interface LatencyMoment {
  readonly at: number;
  readonly statement: Percentiles;
  readonly wait: Percentiles;
  readonly perSecond: number;
}

export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

const keptMs = 24 * 3_600_000;

/** What took how long, moment by moment, from histograms that only grow. */
export interface LatencyMemory {
  record(at: number, statement: GrowingHistogram, wait: GrowingHistogram): void;
  between(from: number, to: number): readonly LatencyMoment[];
}

export function createLatencyMemory(): LatencyMemory {
  const moments: LatencyMoment[] = [];
  let last: { at: number; statement: GrowingHistogram; wait: GrowingHistogram } | undefined;
  return {
    record(at, statement, wait) {
      if (last && at - last.at < 1_000) return;
      if (last) {
        const grown = difference(last.statement, statement);
        moments.push({
          at,
          statement: percentilesOf(grown),
          wait: percentilesOf(difference(last.wait, wait)),
          perSecond: (grown.counts.at(-1) ?? 0) / ((at - last.at) / 1_000),
        });
      }
      last = { at, statement, wait };
      while (moments[0] && moments[0].at < at - keptMs) moments.shift();
    },
    between: (from, to) => moments.filter(({ at }) => at >= from && at <= to),
  };
}

// A histogram that is smaller than before began anew: all it holds happened since.
function difference(before: GrowingHistogram, now: GrowingHistogram): GrowingHistogram {
  const began = (now.counts.at(-1) ?? 0) < (before.counts.at(-1) ?? 0);
  return { bounds: now.bounds, counts: now.counts.map((count, i) => count - (began ? 0 : (before.counts[i] ?? 0))) };
}

function percentilesOf(histogram: GrowingHistogram): Percentiles {
  return { p50: quantile(histogram, 0.5), p95: quantile(histogram, 0.95), p99: quantile(histogram, 0.99) };
}

/**
 * A quantile of a histogram, interpolated within its bucket; the last bound where it lies beyond all of them.
 * @see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 */
export function quantile({ bounds, counts }: GrowingHistogram, q: number): number | null {
  const all = counts.at(-1) ?? 0;
  if (all === 0) return null;
  const rank = q * all;
  const bucket = counts.findIndex((count) => count >= rank);
  const upper = bounds[bucket];
  if (upper === undefined) return bounds.at(-1) ?? null;
  const [lower, below] = bucket === 0 ? [0, 0] : [bounds[bucket - 1]!, counts[bucket - 1]!];
  const within = counts[bucket]! - below;
  return within === 0 ? upper : lower + (upper - lower) * ((rank - below) / within);
}

/** Adds histograms of several servers. */
export function sumOf(histograms: readonly GrowingHistogram[]): GrowingHistogram {
  const [first = { bounds: [], counts: [] }] = histograms;
  return {
    bounds: first.bounds,
    counts: first.counts.map((_, i) => histograms.reduce((sum, each) => sum + (each.counts[i] ?? 0), 0)),
  };
}
