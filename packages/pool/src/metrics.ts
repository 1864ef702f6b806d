import type { HistogramSnapshot } from "./histogram.ts";
import type { PoolStats, ServerStats } from "./stats.ts";

/** One number for a metrics system, under OpenTelemetry's name with `_` for `.`; times in seconds. */
export type PoolMetric =
  | {
      readonly name: string;
      readonly help: string;
      readonly type: "gauge" | "counter";
      readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
    }
  | {
      readonly name: string;
      readonly help: string;
      readonly type: "histogram";
      readonly samples: readonly {
        readonly labels: Readonly<Record<string, string>>;
        /** Cumulative; the last bucket is everything. */
        readonly buckets: readonly { readonly le: number; readonly count: number }[];
        readonly sum: number;
        readonly count: number;
      }[];
    };

const breakerNumber: Readonly<Record<ServerStats["breaker"], number>> = { off: 0, closed: 0, "half-open": 1, open: 2 };

/**
 * The pool's numbers as metrics, from its `stats()`. Plain data: whoever serves `/metrics` renders it.
 * @see https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
 */
export function collectPoolMetrics(pool: { stats(): PoolStats }): PoolMetric[] {
  const stats = pool.stats();
  const perServer = (
    of: (server: ServerStats) => number | undefined,
    more: Readonly<Record<string, string>> = {},
  ): { labels: Record<string, string>; value: number }[] =>
    stats.servers.flatMap((server) => {
      const value = of(server);
      return value === undefined ? [] : [{ labels: { ...labelsOf(server), ...more }, value }];
    });
  const gauge = (name: string, help: string, samples: ReturnType<typeof perServer>): PoolMetric => ({
    name,
    help,
    type: "gauge",
    samples,
  });
  const counter = (name: string, help: string, value: number): PoolMetric => ({
    name,
    help,
    type: "counter",
    samples: [{ labels: {}, value }],
  });
  const histogram = (name: string, help: string, of: (server: ServerStats) => HistogramSnapshot): PoolMetric => ({
    name,
    help,
    type: "histogram",
    samples: stats.servers.map((server) => histogramSample(labelsOf(server), of(server))),
  });
  return [
    gauge("db_client_connection_count", "Connections now, by state.", [
      ...perServer(({ idle }) => idle, { state: "idle" }),
      ...perServer(({ checkedOut }) => checkedOut, { state: "used" }),
    ]),
    gauge(
      "db_client_connection_max",
      "Most connections allowed.",
      perServer(() => stats.max),
    ),
    gauge(
      "db_client_connection_idle_min",
      "Connections kept open.",
      perServer(() => stats.min),
    ),
    gauge(
      "db_client_connection_pending_requests",
      "Callers waiting.",
      perServer(({ waiting }) => waiting),
    ),
    gauge(
      "db_client_connection_connecting",
      "Connections being opened.",
      perServer(({ connecting }) => connecting),
    ),
    histogram("db_client_connection_create_time_seconds", "Time to open a connection.", (server) => server.createTime),
    histogram("db_client_connection_wait_time_seconds", "Time waited for a connection.", (server) => server.waitTime),
    histogram("db_client_connection_use_time_seconds", "Time a connection was held.", (server) => server.useTime),
    {
      name: "db_client_connection_timeouts_total",
      help: "Acquires that timed out.",
      type: "counter",
      samples: perServer(({ acquireTimeouts }) => acquireTimeouts),
    },
    {
      name: "db_client_connection_failures_total",
      help: "Connections that could not be made.",
      type: "counter",
      samples: perServer(({ connectionsFailed }) => connectionsFailed),
    },
    {
      name: "db_client_operation_duration_seconds",
      help: "Time of statements.",
      type: "histogram",
      samples: [histogramSample({}, stats.queryTime)],
    },
    counter("db_pool_query_failures_total", "Statements that failed.", stats.failedQueries),
    counter("db_pool_slow_queries_total", "Statements over the slow threshold.", stats.slowQueries),
    counter("db_pool_retries_total", "Further attempts made.", stats.retries),
    counter("db_pool_query_timeouts_total", "Statements cancelled at their bound.", stats.queryTimeouts),
    counter("db_pool_query_aborts_total", "Statements cancelled by their caller.", stats.queryAborts),
    counter("db_pool_leaks_total", "Connections held past the leak threshold.", stats.leaks),
    counter("db_pool_failovers_total", "New primaries found.", stats.failovers),
    counter("db_pool_left_open_total", "Connections given back inside a transaction.", stats.leftOpen),
    counter("db_pool_protocol_errors_total", "Connections that sent garbage.", stats.protocolErrors),
    gauge(
      "db_pool_server_up",
      "1 while the server is up.",
      perServer(({ state }) => (state === "up" ? 1 : 0)),
    ),
    gauge(
      "db_pool_breaker_state",
      "0 closed, 1 half open, 2 open.",
      perServer(({ breaker }) => breakerNumber[breaker]),
    ),
    gauge(
      "db_pool_replica_lag_seconds",
      "Replay delay in time.",
      perServer(({ lagMs }) => lagMs && lagMs / 1_000),
    ),
    gauge(
      "db_pool_replica_lag_bytes",
      "Replay delay in WAL.",
      perServer(({ lagBytes }) => lagBytes),
    ),
  ];
}

function labelsOf({ name, role }: ServerStats): Record<string, string> {
  return { server: name, role };
}

function histogramSample(
  labels: Readonly<Record<string, string>>,
  { bounds, counts, sum }: HistogramSnapshot,
): Extract<PoolMetric, { type: "histogram" }>["samples"][number] {
  const buckets = counts.map((count, index) => ({ le: bounds[index] ?? Infinity, count }));
  return { labels, buckets, sum, count: counts.at(-1) ?? 0 };
}
