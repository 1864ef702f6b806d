/** Upper bounds in seconds, as OpenTelemetry advises for database connection times. */
export const histogramBoundsS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** What a histogram has counted. `counts[i]` are the observations up to `bounds[i]`; the last one is everything. */
export interface HistogramSnapshot {
  readonly bounds: readonly number[];
  /** Cumulative, one more than the bounds. */
  readonly counts: readonly number[];
  /** Seconds. */
  readonly sum: number;
}

/** Counts durations in fixed buckets. */
export class Histogram {
  readonly #buckets = [...histogramBoundsS, Infinity].map(() => 0);
  #sum = 0;
  #count = 0;

  observeMs(ms: number): void {
    const seconds = ms / 1_000;
    let bucket = 0;
    while (bucket < histogramBoundsS.length && seconds > histogramBoundsS[bucket]!) bucket += 1;
    this.#buckets[bucket]! += 1;
    this.#sum += seconds;
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  /** Mean in milliseconds, 0 before the first observation. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : (this.#sum / this.#count) * 1_000;
  }

  snapshot(): HistogramSnapshot {
    let total = 0;
    return { bounds: histogramBoundsS, counts: this.#buckets.map((count) => (total += count)), sum: this.#sum };
  }
}
