import { gauge } from "../collector.ts";
import { defineMetrics } from "../collector.ts";
import { hourMs, keyOf } from "../history/history.ts";
import type { MetricDefinition } from "../metric.ts";
import type { MetricTable, ServerSnapshot } from "../snapshot.ts";

const name = "query_regression";
const labelNames = ["user", "datname", "queryid"] as const;
const dayMs = 24 * hourMs;

/** What of a query's past is looked at. */
const windowMs = 600_000;
const baselineDays = 7;
/** So many of the same hour must be known. */
const leastDays = 3;
/** Below these nothing is told: a query run now and then has no usual time, and a fast one may wander. */
const leastCalls = 10;
const leastMeanSeconds = 0.05;

/** The series of hours the past is kept in. */
export const queryMeanSeries = "query.mean";
/** How long those hours are kept. */
export const queryMeanKeepMs: number = (baselineDays + 1) * dayMs;

/** Hours of a line, as the series store keeps them. */
export interface QueryHours {
  addHour(name: string, labels: Labels, at: number, value: number): void;
  hoursOf(
    name: string,
    before: number,
  ): readonly { readonly labels: Labels; readonly points: readonly (readonly [at: number, average: number])[] }[];
}

type Labels = Readonly<Record<string, string>>;

export const regressionMetrics: readonly MetricDefinition[] = defineMetrics(
  [
    gauge(
      "pg_query_regression_ratio",
      "",
      "Mean time of a query over ten minutes against the median of the same hour of the last seven days",
    ),
  ],
  { name, tier: "T1" },
  labelNames,
);

interface Recent {
  readonly labels: Labels;
  calls: number;
  seconds: number;
  seenAt: number;
  /** Readings in which it was run, of the last ten minutes. */
  readonly steps: { readonly at: number; readonly calls: number; readonly seconds: number }[];
}

/** Compares each top query with itself at the same hour of earlier days. */
export class Regressions {
  readonly #hours: QueryHours;
  readonly #recent = new Map<string, Recent>();
  readonly #tables = new Map<string, MetricTable>();
  readonly #readAt = new Map<string, string>();

  constructor(hours: QueryHours) {
    this.#hours = hours;
  }

  /** Takes what a collection learned of a server. Statements that were not read anew say nothing. */
  record(server: ServerSnapshot, now: number): void {
    const asOf = server.blocks.find(({ collector }) => collector === "stat_statements")?.asOf ?? null;
    if (asOf === null || this.#readAt.get(server.name) === asOf) return;
    this.#readAt.set(server.name, asOf);
    const slow: (readonly [Labels, number])[] = [];
    for (const { own, queryId, user, database, calls, totalSeconds } of server.facts.statements?.top ?? []) {
      if (own || queryId === "other") continue;
      const key = [server.name, user, database, queryId].join("\n");
      const known = this.#recent.get(key);
      if (known === undefined) {
        const labels = { server: server.name, user, datname: database, queryid: queryId };
        this.#recent.set(key, { labels, calls, seconds: totalSeconds, seenAt: now, steps: [] });
        continue;
      }
      const mean = this.#step(known, calls, totalSeconds, now);
      if (mean !== undefined) slow.push([known.labels, mean]);
    }
    for (const [key, { seenAt }] of this.#recent) if (seenAt < now - 2 * windowMs) this.#recent.delete(key);
    const usual = slow.length === 0 ? new Map<string, number>() : this.#baselines(now);
    this.#tables.set(server.name, {
      labelNames,
      metrics: regressionMetrics.map((metric) => metric.name),
      rows: slow.flatMap(([labels, mean]) => {
        const expected = usual.get(keyOf(queryMeanSeries, labels));
        if (expected === undefined || expected <= 0) return [];
        return [{ labels: labelNames.map((label) => labels[label] ?? ""), values: [mean / expected] }];
      }),
    });
  }

  /** What is known of a server. */
  tableOf(server: string): MetricTable | undefined {
    return this.#tables.get(server);
  }

  /** @returns the mean of the last ten minutes in seconds, where it is worth a comparison */
  #step(query: Recent, calls: number, seconds: number, now: number): number | undefined {
    query.seenAt = now;
    // Fewer calls than before: the counters were reset, and all there is happened since.
    const reset = calls < query.calls;
    if (calls !== query.calls) {
      const step = {
        at: now,
        calls: reset ? calls : calls - query.calls,
        seconds: Math.max(0, reset ? seconds : seconds - query.seconds),
      };
      query.calls = calls;
      query.seconds = seconds;
      query.steps.push(step);
      if (step.calls > 0) this.#hours.addHour(queryMeanSeries, query.labels, now, step.seconds / step.calls);
    }
    while (query.steps.length > 0 && query.steps[0]!.at <= now - windowMs) query.steps.shift();
    if (query.steps.length === 0) return undefined;
    const total = query.steps.reduce((sum, each) => sum + each.calls, 0);
    const mean = query.steps.reduce((sum, each) => sum + each.seconds, 0) / Math.max(1, total);
    return total > leastCalls && mean > leastMeanSeconds ? mean : undefined;
  }

  /** The median of the same hour of the last days, by series. */
  #baselines(now: number): ReadonlyMap<string, number> {
    const hour = Math.floor(now / hourMs) * hourMs;
    const medians = new Map<string, number>();
    for (const { labels, points } of this.#hours.hoursOf(queryMeanSeries, hour)) {
      const same = points
        .filter(([at]) => (hour - at) % dayMs === 0 && hour - at <= baselineDays * dayMs)
        .map(([, average]) => average)
        .toSorted((a, b) => a - b);
      if (same.length >= leastDays) medians.set(keyOf(queryMeanSeries, labels), medianOf(same));
    }
    return medians;
  }
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
