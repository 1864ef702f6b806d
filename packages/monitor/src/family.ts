import type { Sample } from "./snapshot.ts";

/** A metric from elsewhere in the process: the pool, backups, migrations. Rules may use its gauges and counters. */
export type MetricFamily =
  | {
      readonly name: string;
      readonly help: string;
      readonly type: "gauge" | "counter";
      readonly samples: readonly Sample[];
    }
  | {
      readonly name: string;
      readonly help: string;
      readonly type: "histogram";
      readonly samples: readonly HistogramSample[];
    };

export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>;
  /** Cumulative. The bucket of everything may be left out: `count` says it. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

/** Copies families as plain data that JSON can hold: an infinite bucket goes, its count stays in `count`. */
export function copyFamilies(families: readonly MetricFamily[]): readonly MetricFamily[] {
  return families.map((family) =>
    family.type === "histogram"
      ? {
          ...family,
          samples: family.samples.map((sample) => ({
            ...sample,
            buckets: sample.buckets.filter(({ le }) => Number.isFinite(le)),
          })),
        }
      : family,
  );
}
