import { samplesOf, type Snapshot } from "../snapshot.ts";

type Labels = Readonly<Record<string, string>>;

interface Line {
  readonly metric: string;
  readonly labels: Labels;
  readonly points: Point[];
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** The recent past of the metrics that rules look back on; only those, and only as far as they look. */
export class SampleWindow {
  readonly #windows: ReadonlyMap<string, number>;
  readonly #points = new Map<string, Line>();

  /** @param windows metric name to how far back is needed, milliseconds */
  constructor(windows: ReadonlyMap<string, number>) {
    this.#windows = windows;
  }

  /** Takes what a snapshot says. A value served again because its block is stale shows no growth. */
  record(snapshot: Snapshot, now: number): void {
    for (const [metric, windowMs] of this.#windows) {
      for (const { labels, value } of samplesOf(snapshot, metric)) {
        const key = keyOf(metric, labels);
        let line = this.#points.get(key);
        if (!line) {
          line = { metric, labels, points: [] };
          this.#points.set(key, line);
        }
        const { points } = line;
        points.push({ at: now, value });
        // One point before the window stays: growth is measured from it.
        while (points.length > 2 && points[1]!.at <= now - windowMs) points.shift();
      }
    }
    // A series that is gone is kept as long as somebody may ask what became of it.
    for (const [key, { metric, points }] of this.#points) {
      if (points.at(-1)!.at < now - (this.#windows.get(metric) ?? 0)) this.#points.delete(key);
    }
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

  /** The greatest value; undefined where there is none. */
  highest(metric: string, labels: Labels, windowMs: number, now: number): number | undefined {
    const points = this.#within(metric, labels, windowMs, now);
    return points.length === 0 ? undefined : Math.max(...points.map(({ value }) => value));
  }

  /** Labels of the series that were there and have had no value for `windowMs`. */
  lost(metric: string, windowMs: number, now: number): readonly Labels[] {
    return [...this.#points.values()].flatMap((line) =>
      line.metric === metric && line.points.at(-1)!.at <= now - windowMs ? [line.labels] : [],
    );
  }

  #within(metric: string, labels: Readonly<Record<string, string>>, windowMs: number, now: number): readonly Point[] {
    const points = this.#points.get(keyOf(metric, labels))?.points ?? [];
    const first = points.findIndex(({ at }) => at > now - windowMs);
    return first === -1 ? [] : points.slice(Math.max(0, first - 1));
  }
}

function keyOf(metric: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([metric, ...Object.entries(labels).flat()]);
}
