import { evaluate } from "./alerts/evaluate.ts";
import { windowsOf } from "./alerts/expression.ts";
import { SampleWindow } from "./alerts/window.ts";
import { hourMs, keyOf, type SeriesHour } from "./history/history.ts";
import { Hours } from "./history/hours.ts";
import { type KeySeries, keySeries } from "./key-series.ts";
import { queryMeanKeepMs, queryMeanSeries } from "./regression/regressions.ts";
import type { Snapshot } from "./snapshot.ts";

export interface SeriesQuery {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  /** Width of a point; values within it are averaged. */
  readonly stepMs: number;
  /**
   * Shows what was so long before, at the times asked about: 604 800 000 lays the same hour of last week over a chart.
   * Default 0.
   */
  readonly agoMs?: number;
}

export interface Series {
  readonly name: string;
  readonly unit: KeySeries["unit"];
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Start of the step in milliseconds since the epoch, and the mean over it; `null` where nothing was seen. */
  readonly points: readonly (readonly [number, number | null])[];
}

/** Of the interval: a timer or a scraper that comes every interval comes now and then a little early. */
export const leastSpacing = 0.9;

const maxSeries = 300;
const maxPoints = 10_000;

/**
 * A bounded memory of key series: a ring of moments, one value per series and moment, and before it the averages of
 * hours.
 */
export class SeriesStore {
  readonly #definitions: readonly KeySeries[];
  readonly #window: SampleWindow;
  readonly #spacingMs: number;
  readonly #times: Float64Array;
  readonly #values = new Map<string, { definition: KeySeries; labels: Series["labels"]; values: Float64Array }>();
  #next = 0;
  #size = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  readonly #hours: Hours;

  constructor(of: { readonly intervalMs: number; readonly historyMs: number; readonly keepHoursMs: number }) {
    const { intervalMs, historyMs, keepHoursMs } = of;
    this.#hours = new Hours((name) => (name === queryMeanSeries ? queryMeanKeepMs : keepHoursMs));
    this.#definitions = keySeries;
    const windows = new Map<string, number>();
    for (const { expression } of keySeries) for (const [name, ms] of windowsOf(expression)) windows.set(name, ms);
    this.#window = new SampleWindow(windows);
    this.#spacingMs = intervalMs * leastSpacing;
    this.#times = new Float64Array(Math.min(maxPoints, Math.max(2, Math.ceil(historyMs / intervalMs))));
  }

  /** Remembers a snapshot. What comes much sooner than the interval is passed over: a ring of a day must hold a day. */
  record(snapshot: Snapshot, now: number): void {
    if (now - this.#lastAt < this.#spacingMs) return;
    this.#lastAt = now;
    this.#window.record(snapshot, now);
    const slot = this.#next;
    this.#next = (slot + 1) % this.#times.length;
    this.#size = Math.min(this.#size + 1, this.#times.length);
    this.#times[slot] = now;
    for (const { values } of this.#values.values()) values[slot] = Number.NaN;
    this.#hours.forget(now);
    for (const definition of this.#definitions) {
      for (const { labels, value } of evaluate(definition.expression, { snapshot, window: this.#window, now })) {
        const key = keyOf(definition.name, labels);
        let series = this.#values.get(key);
        if (!series) {
          this.#makeRoom();
          series = { definition, labels, values: new Float64Array(this.#times.length).fill(Number.NaN) };
          this.#values.set(key, series);
        }
        series.values[slot] = value;
        this.#hours.add(definition.name, labels, now, value);
      }
    }
  }

  /** The series of one name between two moments, one for each set of labels. Empty for an unknown name. */
  query(name: string, { from, to, stepMs, agoMs = 0 }: SeriesQuery): readonly Series[] {
    const step = Math.max(1, stepMs, (to - from) / maxPoints);
    return this.all(name)
      .map((series) => ({
        ...series,
        points: average(series.points, from - agoMs, to - agoMs, step).map(([at, v]) => [at + agoMs, v] as const),
      }))
      .filter(({ points }) => points.some(([, value]) => value !== null));
  }

  /** Everything known of the series of one name, oldest first: hours, then single moments. */
  all(name: string): readonly Series[] {
    const definition = this.#definitions.find((each) => each.name === name);
    if (!definition) return [];
    const { unit, title } = definition;
    const lines = new Map<string, { labels: Series["labels"]; points: (readonly [number, number | null])[] }>();
    const oldest = this.#size < this.#times.length ? 0 : this.#next;
    // The hour in which the moments begin is told by them.
    const began = this.#size === 0 ? Number.POSITIVE_INFINITY : this.#times[oldest]! - hourMs + 1;
    for (const { labels, points } of this.#hours.before(name, began)) {
      if (points.length > 0) lines.set(keyOf(name, labels), { labels, points: [...points] });
    }
    for (const [key, { definition: of, labels, values }] of this.#values) {
      if (of !== definition) continue;
      const line = lines.get(key) ?? { labels, points: [] };
      for (let i = 0; i < this.#size; i++) {
        const slot = (oldest + i) % this.#times.length;
        const value = values[slot]!;
        line.points.push([this.#times[slot]!, Number.isNaN(value) ? null : value]);
      }
      lines.set(key, line);
    }
    return [...lines.values()].map(({ labels, points }) => ({ name, unit, title, labels, points }));
  }

  /** Takes hours of an earlier process. */
  restore(hours: readonly SeriesHour[], now: number): void {
    this.#hours.restore(
      hours.filter(
        ({ name, at }) =>
          this.#definitions.some((definition) => definition.name === name) ||
          (name === queryMeanSeries && at > now - queryMeanKeepMs),
      ),
      now,
    );
  }

  /** Adds to an hour of a line that no chart is drawn from. */
  addHour(name: string, labels: Series["labels"], at: number, value: number): void {
    this.#hours.add(name, labels, at, value);
  }

  /** Averages of whole hours before a moment. */
  hoursOf(name: string, before: number): ReturnType<Hours["before"]> {
    return this.#hours.before(name, before);
  }

  /** Hands hours that are not written yet to `write`, and keeps them when it fails. */
  async save(
    write: (hours: readonly SeriesHour[]) => Promise<void>,
    options: { readonly unfinished?: boolean } = {},
  ): Promise<void> {
    const hours = this.#hours.take(options);
    if (hours.length === 0) return;
    try {
      await write(hours);
    } catch (error) {
      this.#hours.giveBack(hours);
      throw error;
    }
  }

  /** A series that has no value left in the ring goes first; then the one begun longest ago. */
  #makeRoom(): void {
    if (this.#values.size < maxSeries) return;
    for (const [key, { values }] of this.#values) {
      if (values.every(Number.isNaN)) {
        this.#values.delete(key);
        return;
      }
    }
    const oldest = this.#values.keys().next().value;
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}

function average(points: Series["points"], from: number, to: number, step: number): Series["points"] {
  const buckets = Math.max(0, Math.ceil((to - from) / step));
  const sums = new Float64Array(buckets);
  const counts = new Uint32Array(buckets);
  for (const [at, value] of points) {
    if (at < from || at >= to || value === null) continue;
    const bucket = Math.floor((at - from) / step);
    sums[bucket]! += value;
    counts[bucket]! += 1;
  }
  return Array.from(
    { length: buckets },
    (_, i) => [from + i * step, counts[i]! > 0 ? sums[i]! / counts[i]! : null] as const,
  );
}
