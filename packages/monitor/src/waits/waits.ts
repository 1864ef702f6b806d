import { counter, defineMetrics } from "../collector.ts";
import type { MetricDefinition } from "../metric.ts";
import type { MetricTable } from "../snapshot.ts";

/** Active sessions at one moment that waited for the same thing with the same statement. */
export interface WaitSample {
  readonly database: string;
  /** `Lock`, `IO`, …; `CPU` for a session that waits for nothing. */
  readonly type: string;
  /** `transactionid`, `DataFileRead`, …; empty on CPU. */
  readonly event: string;
  /** As `pg_stat_statements` names it, from PostgreSQL 14 on; empty where it is not known. */
  readonly queryId: string;
  readonly sessions: number;
}

/** What sessions did in a span of time: how many were active on average, by what they waited for. */
export interface WaitSpan {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly load: readonly WaitLoad[];
}

export interface WaitLoad {
  readonly type: string;
  readonly event: string;
  /** Active sessions on average. */
  readonly sessions: number;
}

/** A statement by the time sessions spent in it. */
export interface WaitQuery {
  readonly database: string;
  readonly queryId: string;
  /** Active sessions on average. */
  readonly sessions: number;
  readonly waits: readonly WaitLoad[];
}

const labelNames = ["datname", "wait_event_type", "wait_event"] as const;

export const waitMetrics: readonly MetricDefinition[] = [
  ...defineMetrics(
    [counter("pg_wait_sampling_seconds_total", "", "Session seconds seen by sampling, by what they waited for")],
    { name: "wait_sampling", tier: "T0" },
    labelNames,
  ),
  ...defineMetrics(
    [counter("pg_wait_sampling_samples_total", "", "Samples of active sessions taken")],
    { name: "wait_sampling", tier: "T0" },
    [],
  ),
];

interface Moment {
  readonly at: number;
  readonly samples: readonly WaitSample[];
}

/** The last minutes of samples of one server, and counts of all there were. */
export class WaitRing {
  readonly #intervalMs: number;
  readonly #moments: Moment[] = [];
  readonly #size: number;
  readonly #totals = new Map<string, { readonly labels: readonly string[]; seconds: number }>();
  #count = 0;

  constructor({ intervalMs, keepMs }: { readonly intervalMs: number; readonly keepMs: number }) {
    this.#intervalMs = intervalMs;
    this.#size = Math.max(1, Math.ceil(keepMs / intervalMs));
  }

  add(at: number, samples: readonly WaitSample[]): void {
    this.#moments.push({ at, samples });
    if (this.#moments.length > this.#size) this.#moments.shift();
    this.#count += 1;
    for (const { database, type, event, sessions } of samples) {
      const labels = [database, type, event];
      const key = labels.join("\n");
      const total = this.#totals.get(key);
      // Each sample stands for the time to the next.
      const seconds = (sessions * this.#intervalMs) / 1000;
      if (total) total.seconds += seconds;
      else this.#totals.set(key, { labels, seconds });
    }
  }

  /** Load over time. Spans without a sample are left out: nothing is known of them. */
  spans({
    from,
    to,
    stepMs,
  }: {
    readonly from: number;
    readonly to: number;
    readonly stepMs: number;
  }): readonly WaitSpan[] {
    const within = this.#within(from, to);
    return [...Map.groupBy(within, ({ at }) => from + Math.floor((at - from) / stepMs) * stepMs)].map(
      ([at, moments]) => ({
        at,
        load: loadOf(
          moments.flatMap(({ samples }) => samples),
          moments.length,
        ),
      }),
    );
  }

  /** The statements sessions spent most time in, greatest first. */
  queries({
    from,
    to,
    limit = 10,
  }: {
    readonly from: number;
    readonly to: number;
    readonly limit?: number;
  }): readonly WaitQuery[] {
    const within = this.#within(from, to);
    const samples = within.flatMap((moment) => moment.samples).filter(({ queryId }) => queryId !== "");
    return [...Map.groupBy(samples, ({ database, queryId }) => `${database}\n${queryId}`).values()]
      .map((of) => ({
        database: of[0]!.database,
        queryId: of[0]!.queryId,
        sessions: of.reduce((sum, { sessions }) => sum + sessions, 0) / within.length,
        waits: loadOf(of, within.length),
      }))
      .toSorted((a, b) => b.sessions - a.sessions)
      .slice(0, limit);
  }

  /** Counts since the beginning. */
  tables(): readonly MetricTable[] {
    const [seconds, samples] = waitMetrics;
    return [
      {
        labelNames,
        metrics: [seconds!.name],
        rows: [...this.#totals.values()].map((total) => ({ labels: total.labels, values: [total.seconds] })),
      },
      { labelNames: [], metrics: [samples!.name], rows: [{ labels: [], values: [this.#count] }] },
    ];
  }

  #within(from: number, to: number): readonly Moment[] {
    return this.#moments.filter(({ at }) => at >= from && at < to);
  }
}

function loadOf(samples: readonly WaitSample[], moments: number): readonly WaitLoad[] {
  return [...Map.groupBy(samples, ({ type, event }) => `${type}\n${event}`).values()]
    .map((of) => ({
      type: of[0]!.type,
      event: of[0]!.event,
      sessions: of.reduce((sum, { sessions }) => sum + sessions, 0) / moments,
    }))
    .toSorted((a, b) => b.sessions - a.sessions);
}
