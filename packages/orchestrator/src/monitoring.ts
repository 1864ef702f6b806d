import { toTlsOptions, type Config } from "@db/config";
import { type Clock, type Database, type Logger, toDatabase } from "@db/core";
import {
  type AlertRule,
  createLocalHost,
  createMonitor,
  type HistoryStore,
  type Monitor,
  type ProcessMetrics,
  type RuleOverride,
  type SilenceStore,
} from "@db/monitor";
import { collectPoolMetrics, type Pool } from "@db/pool";
import { Pool as ConnectionPool } from "pg";
import type { Events } from "./events.ts";
import { connectionOf } from "./pool-options.ts";

/** A monitor and the connections of its own. */
export interface Monitoring {
  readonly monitor: Monitor;
  /** The primary on the same connections, for questions and signals that an exhausted pool must not keep waiting. */
  readonly db: Database;
  close(): Promise<void>;
}

/**
 * Makes the monitor of a configuration. It has connections of its own, at most two per server and never the
 * application's: an exhausted pool must not blind it. Nothing connects before the first collection.
 */
export function createMonitoring(options: {
  readonly config: Config;
  readonly pool: Pool | undefined;
  readonly events: Events;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the other services reported. */
  readonly metrics?: Pick<ProcessMetrics, "families">;
  /** Where hourly values outlive the process. */
  readonly history?: HistoryStore;
  /** Where silences outlive the process. */
  readonly silences?: SilenceStore;
  readonly rules?: readonly AlertRule[];
  readonly overrides?: readonly RuleOverride[];
}): Monitoring {
  const { config, pool, events, clock, logger } = options;
  const connection = connectionOf(config);
  const connections: ConnectionPool[] = [];
  const open = (url: string, limits: { readonly max: number; readonly idleTimeoutMillis: number }): ConnectionPool => {
    const made = new ConnectionPool({
      connectionString: url,
      ssl: toTlsOptions(connection.tls),
      application_name: "db-monitor",
      ...limits,
      connectionTimeoutMillis: 2_000,
      allowExitOnIdle: true,
      keepAlive: true,
    });
    // A server that went away is what the next collection reports; unheard, the event would end the process.
    made.on("error", (error) => logger.debug({ err: error }, "a monitoring connection was lost"));
    return made;
  };
  const connect = (url: string): ConnectionPool => {
    const made = open(url, { max: 2, idleTimeoutMillis: 60_000 });
    connections.push(made);
    return made;
  };
  // One connection at a time, closed a second after its visit: a database without sessions can be dropped.
  const others = (url: string) => (name: string) => {
    const at = new URL(url);
    at.pathname = `/${encodeURIComponent(name)}`;
    const made = open(String(at), { max: 1, idleTimeoutMillis: 1_000 });
    return { db: made, close: () => made.end() };
  };
  const found = (url: string) => (config.monitor.allDatabases ? { connectDatabase: others(url) } : {});
  const local = ["localhost", "127.0.0.1", "::1"].includes(connection.host) || connection.host.startsWith("/");
  const primary = connect(connection.primaryUrl.reveal());
  const monitor: Monitor = createMonitor({
    db: primary,
    ...found(connection.primaryUrl.reveal()),
    replicas: connection.replicaUrls.map((url, index) => ({
      name: `replica-${index + 1}`,
      db: connect(url.reveal()),
      ...found(url.reveal()),
    })),
    ...(pool === undefined ? {} : { pool }),
    metrics: () => [
      ...(pool === undefined ? [] : collectPoolMetrics(pool)),
      ...(options.metrics === undefined ? [] : options.metrics.families()),
    ],
    ...(options.history === undefined ? {} : { history: options.history }),
    ...(options.silences === undefined ? {} : { silences: options.silences }),
    ...(local ? { host: createLocalHost({ directories: () => dataDirectoryOf(monitor) }) } : {}),
    ...(options.rules === undefined ? {} : { rules: options.rules }),
    ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
    intervalMs: config.monitor.intervalMs,
    // Somebody who looks every few seconds wants the next tier to follow.
    tierMs: { T1: Math.min(60_000, config.monitor.intervalMs * 3) },
    clock,
    logger,
    onAlert: ({ kind, alert, suppressed }) => {
      if (suppressed) return;
      events.emit(`alert:${kind}`, { rule: alert.rule, severity: alert.severity, summary: alert.title });
    },
  });
  return {
    monitor,
    db: toDatabase(primary),
    close: async () => {
      await monitor.stop();
      await Promise.all(connections.map((each) => each.end()));
    },
  };
}

/** Where the primary's data is, once it was asked, and where the role may know. */
function dataDirectoryOf(monitor: Monitor): readonly string[] {
  const directory = monitor.snapshot().servers[0]?.facts.settings?.["data_directory"]?.value;
  return directory === undefined || directory === "" ? [] : [directory];
}
