import type { Finding } from "@db/core";
import type { Series } from "../series.ts";
import { samplesOf, type Snapshot } from "../snapshot.ts";
import { defineMetrics, gauge } from "../collector.ts";
import type { MetricDefinition } from "../metric.ts";
import type { MetricTable } from "../snapshot.ts";
import type { Point } from "./buckets.ts";
import { forecast, type Forecast } from "./forecast.ts";

const dayMs = 86_400_000;

/** Something that is used up, and when. */
export interface CapacityForecast extends Forecast {
  readonly resource: "storage" | "connections" | "sequence" | "transaction-ids" | "multixact-ids";
  /** Server, and what of it: `primary/app/public/order_id_seq`. */
  readonly subject: string;
  readonly unit: "bytes" | "connections" | "ratio" | "ids";
}

export const forecastMetrics: readonly MetricDefinition[] = defineMetrics(
  [gauge("pg_monitor_forecast_days_left", "", "Days until a resource is used up if its course goes on")],
  { name: "forecast", tier: "T1" },
  ["resource", "subject"],
);

/** Forecasts as metric rows; what is not foreseen to end has none. */
export function forecastTable(forecasts: readonly CapacityForecast[]): MetricTable {
  return {
    labelNames: ["resource", "subject"],
    metrics: forecastMetrics.map(({ name }) => name),
    rows: forecasts.flatMap(({ resource, subject, days }) =>
      days === null ? [] : [{ labels: [resource, subject], values: [days] }],
    ),
  };
}

interface Resource {
  readonly resource: CapacityForecast["resource"];
  readonly unit: CapacityForecast["unit"];
  readonly series: string;
  /** The value the series must not reach; undefined where it is not known. */
  readonly limit: (labels: Series["labels"], snapshot: Snapshot) => number | undefined;
  /** True for an age that freezing sets back: what is used is the sum of its growth. */
  readonly setBack?: boolean;
}

/**
 * The server stops giving out ids three million before the end (PostgreSQL 14; one million before that).
 * @see https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
 */
const mostIds = 2 ** 31 - 3_000_000;

const resources: readonly Resource[] = [
  {
    resource: "storage",
    unit: "bytes",
    series: "disk.used",
    limit: ({ mountpoint }, { host }) => host?.filesystems.find((each) => each.mountpoint === mountpoint)?.sizeBytes,
  },
  {
    resource: "connections",
    unit: "connections",
    series: "connections.used",
    limit: ({ server }, snapshot) =>
      samplesOf(snapshot, "pg_connections_usable").find(({ labels }) => labels["server"] === server)?.value,
  },
  { resource: "sequence", unit: "ratio", series: "sequences.used", limit: () => 1 },
  { resource: "transaction-ids", unit: "ids", series: "xid.age", limit: () => mostIds, setBack: true },
  { resource: "multixact-ids", unit: "ids", series: "mxid.age", limit: () => 2 ** 32 - 3_000_000, setBack: true },
];

/** Nothing is foreseen further ahead than so many times the span that is known. */
const furthest = 30;

/**
 * Foresees when storage, connections, sequences and ids are used up, soonest first. Ids as if nothing were frozen from
 * now on: how long there is to mend a freeze that is held up. Pure.
 */
export function forecastCapacity(
  seriesOf: (name: string) => readonly Series[],
  snapshot: Snapshot,
): readonly CapacityForecast[] {
  return resources
    .flatMap(({ resource, unit, series, limit: limitOf, setBack }) =>
      seriesOf(series).flatMap(({ labels, points }): readonly CapacityForecast[] => {
        const limit = limitOf(labels, snapshot);
        const known = points.filter(([, value]) => value !== null);
        const spanMs = (known.at(-1)?.[0] ?? 0) - (known[0]?.[0] ?? 0);
        if (limit === undefined || spanMs <= 0) return [];
        const horizonMs = Math.min(730 * dayMs, furthest * spanMs);
        const subject = Object.values(labels).filter(Boolean).join("/");
        const told = setBack ? forecastAge(points, limit, horizonMs) : forecast(points, { limit, horizonMs });
        return [{ resource, subject, unit, ...told }];
      }),
    )
    .toSorted((a, b) => (a.days ?? Number.POSITIVE_INFINITY) - (b.days ?? Number.POSITIVE_INFINITY));
}

/** An age that is set back now and then goes on growing as it grew. */
function forecastAge(points: readonly Point[], limit: number, horizonMs: number): Forecast {
  let grown = 0;
  let before: number | undefined;
  const growth = points.map(([at, value]): Point => {
    if (value === null) return [at, null];
    grown += before === undefined ? value : Math.max(0, value - before);
    before = value;
    return [at, grown];
  });
  const setBackBy = grown - (before ?? 0);
  const told = forecast(growth, { limit: limit + setBackBy, horizonMs });
  return { ...told, limit, level: told.level - setBackBy };
}

const titles: Readonly<Record<CapacityForecast["resource"], string>> = {
  storage: "is full",
  connections: "runs out of connections",
  sequence: "reaches its end",
  "transaction-ids": "runs out of transaction ids unless tables are frozen",
  "multixact-ids": "runs out of multixact ids unless tables are frozen",
};

const hints: Readonly<Record<CapacityForecast["resource"], string>> = {
  storage: "Make room or a larger disk before it; a full disk stops the server.",
  connections: "Find which application's share grows, and give it a smaller pool.",
  sequence: "Inserts fail then; change the column to bigint while there is time.",
  "transaction-ids": "Find what holds back autovacuum; the server refuses writes at the end.",
  "multixact-ids": "Find what holds back autovacuum; the server refuses writes at the end.",
};

const soonDays = 30;
const urgentDays = 3;

/** What is used up within a month, as findings. */
export function capacityFindings(forecasts: readonly CapacityForecast[]): readonly Finding[] {
  return forecasts.flatMap((each): readonly Finding[] => {
    const { days, earliestDays, latestDays, resource, subject, since } = each;
    if (days === null || days > soonDays || each.verdict !== "expected") return [];
    const latest = latestDays === null ? "later" : Math.ceil(latestDays);
    return [
      {
        id: `PG-FORECAST-${resource.toUpperCase()}`,
        severity: days < urgentDays ? "critical" : "warn",
        title: `${subject} ${titles[resource]} in about ${days < 2 ? `${Math.round(days * 24)} hours` : `${Math.round(days)} days`}`,
        subject,
        observed: Math.round(days * 10) / 10,
        threshold: soonDays,
        unit: "days",
        since: new Date(since).toISOString(),
        hint: `Between ${Math.floor(earliestDays ?? 0)} and ${latest} days, four of five times. ${hints[resource]}`,
      },
    ];
  });
}
