import { messageOf } from "@db/core";
import { connections, type Monitor, replication, type Snapshot, valueOf } from "@db/orchestrator";
import type { PoolStats } from "@db/pool";
import { adoptDefaults, processHost } from "../host.ts";
import type { HealthWord } from "../health-word.ts";
import { recordUse } from "../use.ts";
import { learningDefaults } from "./defaults.ts";

export interface DatabaseAlert {
  readonly level: "info" | "warning" | "error" | "critical";
  readonly message: string;
  readonly metric: string;
  readonly value: number;
  readonly threshold: number;
  /** ISO 8601. */
  readonly timestamp: string;
}

/** Percent, and milliseconds for `responseTime`. */
export interface HealthCheckThresholds {
  readonly connectionUtilization: { readonly warning: number; readonly critical: number };
  readonly responseTime: { readonly warning: number; readonly critical: number };
}

export interface DatabaseHealthMetrics {
  readonly status: HealthWord;
  /** ISO 8601. */
  readonly timestamp: string;
  /** Of the primary, milliseconds. */
  readonly uptime: number;
  /** `18.4`; `unknown` when the primary does not answer. */
  readonly version: string;
  readonly connections: {
    readonly total: number;
    readonly active: number;
    readonly idle: number;
    readonly waiting: number;
    /** The server's limit for clients. */
    readonly maxConnections: number;
    /** Of the server's limit, all clients together, 0 to 100. */
    readonly utilization: number;
  };
  readonly performance: {
    /** Time this check's `select 1` took, milliseconds. */
    readonly responseTime: number;
    /** Of this process's statements, milliseconds. */
    readonly avgResponseTime: number;
    readonly slowQueryCount: number;
    /** 0 to 100. */
    readonly errorRate: number;
  };
  readonly storage: {
    /** The database, bytes. */
    readonly usedSize: number;
  };
  readonly replication: {
    readonly isReplicated: boolean;
    /** The furthest standby, bytes of WAL; null without one. */
    readonly lag: number | null;
    readonly slaveCount: number;
  };
  readonly alerts: readonly DatabaseAlert[];
  readonly recommendations: readonly string[];
}

/** Looks at the database of the process and keeps the last 100 answers. */
export interface DatabaseHealthMonitor {
  /** Never throws: a database that does not answer is `unhealthy`. */
  performHealthCheck(thresholds?: Partial<HealthCheckThresholds>): Promise<DatabaseHealthMetrics>;
  /** One `select 1`. Never throws. */
  quickHealthCheck(): Promise<{ readonly status: HealthWord; readonly responseTime: number }>;
  getLatestHealth(): DatabaseHealthMetrics | null;
  /** Oldest first. */
  getHealthHistory(limit?: number): readonly DatabaseHealthMetrics[];
}

const historyLimit = 100;

/** The monitor of the process. Nothing is opened before its first check. */
export const databaseHealthMonitor: DatabaseHealthMonitor = createHealthMonitor();

function createHealthMonitor(): DatabaseHealthMonitor {
  const history: DatabaseHealthMetrics[] = [];
  return {
    async performHealthCheck(thresholds = {}) {
      recordUse("databaseHealthMonitor");
      adoptDefaults(learningDefaults);
      const metrics = await checkHealth(thresholds);
      history.push(metrics);
      if (history.length > historyLimit) history.shift();
      return metrics;
    },
    async quickHealthCheck() {
      recordUse("databaseHealthMonitor");
      adoptDefaults(learningDefaults);
      const startedAt = performance.now();
      let isUp = true;
      try {
        await ping();
      } catch {
        isUp = false;
      }
      const responseTime = performance.now() - startedAt;
      const { warn } = processHost.config.monitor.thresholds.queryMs;
      return { status: !isUp ? "unhealthy" : responseTime < warn ? "healthy" : "degraded", responseTime };
    },
    getLatestHealth() {
      recordUse("databaseHealthMonitor");
      return history.at(-1) ?? null;
    },
    getHealthHistory(limit = historyLimit) {
      recordUse("databaseHealthMonitor");
      return limit <= 0 ? [] : history.slice(-limit);
    },
  };
}

/** Without counting a use of an old name. */
export async function checkHealth(thresholds: Partial<HealthCheckThresholds> = {}): Promise<DatabaseHealthMetrics> {
  const timestamp = new Date().toISOString();
  try {
    const { monitor, pool } = processHost.orchestrator;
    const responseTime = await ping();
    const snapshot = await monitor.collect({ force: true });
    return judge({ monitor, snapshot, stats: pool.stats(), responseTime, timestamp, thresholds });
  } catch (error) {
    return unreachable(messageOf(error), timestamp);
  }
}

/** @returns milliseconds */
async function ping(): Promise<number> {
  const startedAt = performance.now();
  await processHost.orchestrator.pool.query("select 1");
  return performance.now() - startedAt;
}

function judge(of: {
  readonly monitor: Monitor;
  readonly snapshot: Snapshot;
  readonly stats: PoolStats;
  readonly responseTime: number;
  readonly timestamp: string;
  readonly thresholds: Partial<HealthCheckThresholds>;
}): DatabaseHealthMetrics {
  const { monitor, snapshot, stats, responseTime, timestamp } = of;
  const { connectionPercent, queryMs } = processHost.config.monitor.thresholds;
  const {
    connectionUtilization = { warning: connectionPercent.warn, critical: connectionPercent.critical },
    responseTime: responseLimit = { warning: queryMs.warn, critical: queryMs.critical },
  } = of.thresholds;
  const primary = snapshot.servers[0]!;
  const server = connections(snapshot).servers[0]!;
  const { standbys } = replication(snapshot);
  const maxConnections = server.usable ?? 0;
  const utilization = maxConnections === 0 ? 0 : (server.used / maxConnections) * 100;
  const alerts: DatabaseAlert[] = monitor
    .alerts()
    .filter(({ state }) => state === "firing")
    .map(({ rule, severity, title, value, threshold }) => {
      const level = severity === "page" ? "critical" : severity === "warn" ? "warning" : "info";
      return { level, message: title, metric: rule, value, threshold, timestamp };
    });
  const compare = (metric: string, value: number, limit: { warning: number; critical: number }): void => {
    const level = value >= limit.critical ? "critical" : value >= limit.warning ? "warning" : undefined;
    if (level === undefined) return;
    const threshold = limit[level];
    alerts.push({ level, message: `${metric} is ${value.toFixed(1)}`, metric, value, threshold, timestamp });
  };
  compare("connection_utilization", utilization, connectionUtilization);
  compare("response_time", responseTime, responseLimit);
  const startedAt = primary.facts.identity?.startedAt;
  const isBad = !primary.up || alerts.some(({ level }) => level === "critical");
  return {
    status: isBad ? "unhealthy" : alerts.some(({ level }) => level === "warning") ? "degraded" : "healthy",
    timestamp,
    uptime: startedAt === undefined ? 0 : Date.now() - Date.parse(startedAt),
    version: `${Math.floor(primary.versionNum / 10_000)}.${primary.versionNum % 10_000}`,
    connections: {
      total: stats.total,
      active: stats.checkedOut,
      idle: stats.idle,
      waiting: stats.waiting,
      maxConnections,
      utilization,
    },
    performance: {
      responseTime,
      avgResponseTime: stats.averageQueryMs,
      slowQueryCount: stats.slowQueries,
      errorRate: stats.queries === 0 ? 0 : (stats.failedQueries / stats.queries) * 100,
    },
    storage: { usedSize: valueOf(snapshot, "pg_database_size_bytes", databaseOf(primary)) ?? 0 },
    replication: {
      isReplicated: standbys.length > 0,
      lag: standbys.length === 0 ? null : Math.max(...standbys.map(({ lagBytes }) => lagBytes)),
      slaveCount: standbys.length,
    },
    alerts,
    recommendations: monitor.findings().flatMap(({ severity, hint }) => (severity === "info" ? [] : (hint ?? []))),
  };
}

function databaseOf({ name, facts }: Snapshot["servers"][number]): Readonly<Record<string, string>> {
  return facts.identity === undefined ? { server: name } : { server: name, datname: facts.identity.database };
}

function unreachable(reason: string, timestamp: string): DatabaseHealthMetrics {
  const message = `health check failed: ${reason}`;
  return {
    status: "unhealthy",
    timestamp,
    uptime: 0,
    version: "unknown",
    connections: { total: 0, active: 0, idle: 0, waiting: 0, maxConnections: 0, utilization: 0 },
    performance: { responseTime: 0, avgResponseTime: 0, slowQueryCount: 0, errorRate: 100 },
    storage: { usedSize: 0 },
    replication: { isReplicated: false, lag: null, slaveCount: 0 },
    alerts: [{ level: "critical", message, metric: "reachable", value: 0, threshold: 1, timestamp }],
    recommendations: ["See that the server runs and can be reached from here."],
  };
}
