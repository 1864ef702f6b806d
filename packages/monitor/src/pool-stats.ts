import { counter, defineMetrics, gauge } from "./collector.ts";
import type { MetricDefinition } from "./metric.ts";
import type { MetricTable } from "./snapshot.ts";

/** One server as a connection pool sees it, in connections. */
export interface PoolServerStats {
  readonly name: string;
  readonly role: string;
  readonly idle: number;
  readonly checkedOut: number;
  /** Callers waiting for a connection. */
  readonly waiting: number;
  /** Acquires that gave up, since the pool began. */
  readonly acquireTimeouts: number;
}

/** A connection pool at one moment. */
export interface PoolStats {
  /** Most connections per server. */
  readonly max: number;
  readonly servers: readonly PoolServerStats[];
}

/** Where pool numbers come from; a `Pool` of `@db/pool` fits as it is. */
export interface PoolStatsSource {
  /** Must answer at once, from memory. */
  stats(): PoolStats;
}

const name = "pool";
const labelNames = ["server", "role"] as const;

/**
 * Pool metrics, named after OpenTelemetry's `db.client.connection.*`.
 * @see https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
 */
export const poolMetrics: readonly MetricDefinition[] = [
  ...defineMetrics([gauge("db_client_connection_count", "", "Connections now, by state")], { name, tier: "T0" }, [
    ...labelNames,
    "state",
  ]),
  ...defineMetrics(
    [
      gauge("db_client_connection_max", "", "Most connections allowed"),
      gauge("db_client_connection_pending_requests", "", "Callers waiting for a connection"),
      counter("db_client_connection_timeouts_total", "", "Acquires that timed out"),
    ],
    { name, tier: "T0" },
    labelNames,
  ),
];

/** What of a pool's numbers a snapshot keeps: plain data, whatever else the source gives. */
export function copyPoolStats({ max, servers }: PoolStats): PoolStats {
  return {
    max,
    servers: servers.map(({ name, role, idle, checkedOut, waiting, acquireTimeouts }) => ({
      name,
      role,
      idle,
      checkedOut,
      waiting,
      acquireTimeouts,
    })),
  };
}

/** The same numbers as metric rows. */
export function poolTables(pool: PoolStats | undefined): readonly MetricTable[] {
  if (!pool) return [];
  return [
    {
      labelNames: [...labelNames, "state"],
      metrics: ["db_client_connection_count"],
      rows: pool.servers.flatMap(({ name, role, idle, checkedOut }) => [
        { labels: [name, role, "idle"], values: [idle] },
        { labels: [name, role, "used"], values: [checkedOut] },
      ]),
    },
    {
      labelNames,
      metrics: [
        "db_client_connection_max",
        "db_client_connection_pending_requests",
        "db_client_connection_timeouts_total",
      ],
      rows: pool.servers.map(({ name, role, waiting, acquireTimeouts }) => ({
        labels: [name, role],
        values: [pool.max, waiting, acquireTimeouts],
      })),
    },
  ];
}
