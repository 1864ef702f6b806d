import { hourMs, keyOf, type SeriesHour } from "./history.ts";

/** Unwritten hours kept while the store is away; the oldest go first. */
const mostUnwritten = 50_000;

interface Line {
  readonly name: string;
  readonly labels: SeriesHour["labels"];
  /** Whole hours, oldest first. */
  readonly at: number[];
  readonly average: number[];
  current: { at: number; sum: number; highest: number; samples: number } | undefined;
}

/** Key series by the hour: what is left of the past once single values are forgotten. */
export class Hours {
  readonly #keepMs: (name: string) => number;
  readonly #lines = new Map<string, Line>();
  #unwritten: SeriesHour[] = [];

  /** @param keepMs how long the hours of a series are kept, by its name */
  constructor(keepMs: (name: string) => number) {
    this.#keepMs = keepMs;
  }

  /** Takes hours of an earlier process. The hour that is still going on is continued. */
  restore(hours: readonly SeriesHour[], now: number): void {
    for (const hour of hours.toSorted((a, b) => a.at - b.at)) {
      const line = this.#line(hour.name, hour.labels);
      // What this process saw itself since it began goes before what is read late.
      if (hour.at <= (line.at.at(-1) ?? Number.NEGATIVE_INFINITY)) continue;
      if (hour.at + hourMs <= now) {
        if (line.current && hour.at >= line.current.at) continue;
        line.at.push(hour.at);
        line.average.push(hour.average);
        continue;
      }
      const { at, average, highest, samples } = hour;
      const begun = line.current ?? { at, sum: 0, highest: Number.NEGATIVE_INFINITY, samples: 0 };
      if (begun.at !== at) continue;
      line.current = {
        at,
        sum: begun.sum + average * samples,
        highest: Math.max(begun.highest, highest),
        samples: begun.samples + samples,
      };
    }
  }

  add(name: string, labels: SeriesHour["labels"], at: number, value: number): void {
    const line = this.#line(name, labels);
    const start = Math.floor(at / hourMs) * hourMs;
    if (line.current && line.current.at < start) this.#close(line, start);
    line.current ??= { at: start, sum: 0, highest: Number.NEGATIVE_INFINITY, samples: 0 };
    line.current.sum += value;
    line.current.highest = Math.max(line.current.highest, value);
    line.current.samples += 1;
  }

  /** Averages of whole hours that began before a moment, one line for each set of labels. */
  before(
    name: string,
    moment: number,
  ): readonly { readonly labels: SeriesHour["labels"]; readonly points: readonly (readonly [number, number])[] }[] {
    return [...this.#lines.values()]
      .filter((line) => line.name === name)
      .map(({ labels, at, average }) => ({
        labels,
        points: at.flatMap((start, i) => (start < moment ? [[start, average[i]!] as const] : [])),
      }));
  }

  /** Hours that ended and were not taken yet, and those going on where asked for. */
  take({ unfinished = false }: { readonly unfinished?: boolean } = {}): readonly SeriesHour[] {
    const taken = this.#unwritten;
    this.#unwritten = [];
    if (!unfinished) return taken;
    return [
      ...taken,
      ...[...this.#lines.values()].flatMap((line) => (line.current ? [hourOf(line, line.current)] : [])),
    ];
  }

  /** Gives back what could not be written. */
  giveBack(hours: readonly SeriesHour[]): void {
    this.#unwritten = [...hours, ...this.#unwritten].slice(-mostUnwritten);
  }

  /** Forgets hours past their time, and series that have none left. */
  forget(now: number): void {
    for (const [key, line] of this.#lines) {
      const gone = line.at.findIndex((at) => at >= now - this.#keepMs(line.name));
      const count = gone === -1 ? line.at.length : gone;
      line.at.splice(0, count);
      line.average.splice(0, count);
      if (line.at.length === 0 && (line.current?.at ?? 0) < now - 2 * hourMs) this.#lines.delete(key);
    }
  }

  #close(line: Line, next: number): void {
    const { current } = line;
    if (!current || current.at >= next) return;
    line.at.push(current.at);
    line.average.push(current.sum / current.samples);
    this.#unwritten.push(hourOf(line, current));
    if (this.#unwritten.length > mostUnwritten) this.#unwritten.shift();
    line.current = undefined;
  }

  #line(name: string, labels: SeriesHour["labels"]): Line {
    const key = keyOf(name, labels);
    let line = this.#lines.get(key);
    if (!line) {
      line = { name, labels, at: [], average: [], current: undefined };
      this.#lines.set(key, line);
    }
    return line;
  }
}

function hourOf({ name, labels }: Line, { at, sum, highest, samples }: NonNullable<Line["current"]>): SeriesHour {
  return { name, labels, at, average: sum / samples, highest, samples };
}
