import type { Finding } from "@db/core";
import { hourMs } from "../history/history.ts";
import type { Series } from "../series.ts";
import type { Snapshot } from "../snapshot.ts";
import { type Cause, causesOf } from "./cause.ts";

/** A course that is far from what it usually is, and what else happens that may be why. */
export interface Anomaly {
  /** Name in `keySeries`. */
  readonly series: string;
  readonly title: string;
  readonly unit: Series["unit"];
  readonly labels: Series["labels"];
  /** Mean of the last five minutes. */
  readonly value: number;
  /** What is usual: the median, and how far values mostly are from it. */
  readonly expected: number;
  readonly spread: number;
  /** What it is compared with: this hour of the last days, or, while those are not known, the last hours. */
  readonly against: "same hour" | "recent hours";
  /** Likely ones first; empty where nothing else stands out. */
  readonly causes: readonly Cause[];
}

/** What is looked at, and the least difference worth a word, in the unit of the series. */
const watched: readonly (readonly [name: string, least: number])[] = [
  ["commits", 5],
  ["rollbacks", 1],
  ["connections.used", 5],
  ["blocked", 2],
  ["latency.p95", 0.01],
  ["rows.written", 100],
  ["rows.fetched", 1_000],
  ["temp.bytes", 1_000_000],
  ["wal.bytes", 1_000_000],
  ["cache.hits", 0.05],
];

const recentMs = 300_000;
const leastDays = 3;
const leastMoments = 60;
/** So many usual distances from the median are no longer chance. */
const far = 6;

export interface AnomalyInput {
  readonly seriesOf: (name: string) => readonly Series[];
  readonly snapshot: Snapshot;
  readonly now: number;
}

/** Looks for courses that are far from what they usually are. Pure. */
export function findAnomalies(input: AnomalyInput): readonly Anomaly[] {
  const { seriesOf, snapshot, now } = input;
  return watched.flatMap(([name, least]) =>
    seriesOf(name).flatMap(({ title, unit, labels, points }) => {
      const known = points.filter((point): point is readonly [number, number] => point[1] !== null);
      const recent = known.filter(([at]) => at > now - recentMs).map(([, value]) => value);
      if (recent.length < 3) return [];
      const usual = usualOf(known, now);
      if (!usual) return [];
      const value = recent.reduce((sum, each) => sum + each, 0) / recent.length;
      const distance = Math.abs(value - usual.median);
      // A course that never moved has no spread; a tenth of it is then no news.
      const spread = Math.max(usual.spread, usual.median * 0.1);
      if (distance < least || distance < far * spread) return [];
      return [
        {
          series: name,
          title,
          unit,
          labels,
          value,
          expected: usual.median,
          spread,
          against: usual.against,
          causes: causesOf(snapshot, labels["server"], now),
        },
      ];
    }),
  );
}

/** Anomalies as findings: to know of, not to be woken for. */
export function anomalyFindings(anomalies: readonly Anomaly[]): readonly Finding[] {
  return anomalies.map(({ title, labels, value, expected, unit, causes, against }) => ({
    id: "PG-ANOMALY",
    severity: "info",
    title: `${title}: ${amount(value)}, usually ${amount(expected)} ${against === "same hour" ? "at this hour" : "of late"}`,
    subject: Object.values(labels).join("/"),
    observed: value,
    threshold: expected,
    unit,
    hint: causes.length === 0 ? "Nothing else stands out at the same time." : causes.map(({ text }) => text).join(" "),
    ...(causes[0]?.command !== undefined && { command: causes[0].command }),
  }));
}

const amount = (value: number): string => Number(value.toPrecision(3)).toLocaleString("en-US");

function usualOf(
  points: readonly (readonly [number, number])[],
  now: number,
): { readonly median: number; readonly spread: number; readonly against: Anomaly["against"] } | undefined {
  const hour = Math.floor(now / hourMs) * hourMs;
  const days = new Map<number, number[]>();
  for (const [at, value] of points) {
    const start = Math.floor(at / hourMs) * hourMs;
    if (start === hour || (hour - start) % (24 * hourMs) !== 0) continue;
    days.set(start, [...(days.get(start) ?? []), value]);
  }
  const sameHour = [...days.values()].map((values) => values.reduce((sum, each) => sum + each, 0) / values.length);
  if (sameHour.length >= leastDays) return { ...middle(sameHour), against: "same hour" };
  const before = points.filter(([at]) => at <= now - 2 * recentMs && at > now - 6 * hourMs).map(([, value]) => value);
  return before.length >= leastMoments ? { ...middle(before), against: "recent hours" } : undefined;
}

/** Median and median distance from it, scaled to the standard deviation of a normal course. */
function middle(values: readonly number[]): { readonly median: number; readonly spread: number } {
  const center = median(values);
  return { median: center, spread: 1.4826 * median(values.map((value) => Math.abs(value - center))) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
