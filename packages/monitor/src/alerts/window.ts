import { samplesOf, type Snapshot } from "../snapshot.ts";

interface Point {
  readonly at: number;
  readonly value: number;
}

/** The recent past of the metrics that rules look back on; only those, and only as far as they look. */
export class SampleWindow {
  readonly #windows: ReadonlyMap<string, number>;
  readonly #points = new Map<string, Point[]>();

  /** @param windows metric name to how far back is needed, milliseconds */
  constructor(windows: ReadonlyMap<string, number>) {
    this.#windows = windows;
  }

  /** Takes what a snapshot says. A value served again because its block is stale shows no growth. */
  record(snapshot: Snapshot, now: number): void {
    const seen = new Set<string>();
    for (const [metric, windowMs] of this.#windows) {
      for (const { labels, value } of samplesOf(snapshot, metric)) {
        const key = keyOf(metric, labels);
        seen.add(key);
        const points = this.#points.get(key) ?? [];
        points.push({ at: now, value });
        // One point before the window stays: growth is measured from it.
        while (points.length > 2 && points[1]!.at <= now - windowMs) points.shift();
        this.#points.set(key, points);
      }
    }
    for (const key of this.#points.keys()) if (!seen.has(key)) this.#points.delete(key);
  }

  /** Growth over the window, resets bridged; undefined before there are two points. */
  increase(
    metric: string,
    labels: Readonly<Record<string, string>>,
    windowMs: number,
    now: number,
  ): number | undefined {
    const points = this.#within(metric, labels, windowMs, now);
    if (points.length < 2) return undefined;
    let sum = 0;
    for (let i = 1; i < points.length; i++) {
      const step = points[i]!.value - points[i - 1]!.value;
      // After a reset everything counted since is growth.
      sum += step >= 0 ? step : points[i]!.value;
    }
    return sum;
  }

  /** Growth per second of the time there are points for. */
  rate(metric: string, labels: Readonly<Record<string, string>>, windowMs: number, now: number): number | undefined {
    const points = this.#within(metric, labels, windowMs, now);
    const grown = this.increase(metric, labels, windowMs, now);
    const seconds = points.length < 2 ? 0 : (points.at(-1)!.at - points[0]!.at) / 1000;
    return grown === undefined || seconds <= 0 ? undefined : grown / seconds;
  }

  /** How often the value changed; undefined before there are two points. */
  changes(metric: string, labels: Readonly<Record<string, string>>, windowMs: number, now: number): number | undefined {
    const points = this.#within(metric, labels, windowMs, now);
    if (points.length < 2) return undefined;
    return points.filter((point, i) => i > 0 && point.value !== points[i - 1]!.value).length;
  }

  #within(metric: string, labels: Readonly<Record<string, string>>, windowMs: number, now: number): readonly Point[] {
    const points = this.#points.get(keyOf(metric, labels)) ?? [];
    const first = points.findIndex(({ at }) => at > now - windowMs);
    return first === -1 ? [] : points.slice(Math.max(0, first - 1));
  }
}

function keyOf(metric: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([metric, ...Object.entries(labels).flat()]);
}
