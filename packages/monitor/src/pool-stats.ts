import type { MetricDefinition } from "./metric.ts";
import type { MetricTable } from "./snapshot.ts";

/** One connection pool at one moment, in connections. */
export interface PoolStats {
  /** Names the pool, e.g. `primary`, `replica-1`. */
  readonly name: string;
  readonly idle: number;
  /** Checked out. */
  readonly used: number;
  readonly max: number;
  /** Queued acquires. */
  readonly waiting: number;
  /** Acquires that gave up, since the pool began. */
  readonly timeouts?: number;
}

/** Where pool numbers come from; the orchestrator connects the pool here. */
export interface PoolStatsSource {
  /** Must answer at once, from memory. */
  poolStats(): readonly PoolStats[];
}

/** Has no pools: the default. */
export const noPools: PoolStatsSource = Object.freeze({ poolStats: () => [] });

const define = (
  name: string,
  type: "counter" | "gauge",
  help: string,
  labels: readonly string[],
): MetricDefinition => ({
  name,
  type,
  help,
  labels,
  tier: "T0",
  collector: "pool",
  since: 12,
  scope: "any",
});

/**
 * Pool metrics, named after OpenTelemetry's `db.client.connection.*`.
 * @see https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
 */
export const poolMetrics: readonly MetricDefinition[] = [
  define("db_client_connection_count", "gauge", "Connections of the pool by state (idle, used)", ["pool", "state"]),
  define("db_client_connection_max", "gauge", "Most connections the pool may hold", ["pool"]),
  define("db_client_connection_pending_requests", "gauge", "Acquires waiting for a connection", ["pool"]),
  define("db_client_connection_timeouts_total", "counter", "Acquires that gave up waiting", ["pool"]),
];

/** The same numbers as metric rows. */
export function poolTables(pools: readonly PoolStats[]): readonly MetricTable[] {
  return [
    {
      labelNames: ["pool", "state"],
      metrics: ["db_client_connection_count"],
      rows: pools.flatMap((pool) => [
        { labels: [pool.name, "idle"], values: [pool.idle] },
        { labels: [pool.name, "used"], values: [pool.used] },
      ]),
    },
    {
      labelNames: ["pool"],
      metrics: [
        "db_client_connection_max",
        "db_client_connection_pending_requests",
        "db_client_connection_timeouts_total",
      ],
      rows: pools.map((pool) => ({ labels: [pool.name], values: [pool.max, pool.waiting, pool.timeouts ?? null] })),
    },
  ];
}
