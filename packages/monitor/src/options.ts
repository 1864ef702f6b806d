import { type Clock, type Database, type DatabaseLike, type Logger, noLogger, systemClock, toDatabase } from "@db/core";
import { type Blackout, blackoutProblems } from "./alerts/blackout.ts";
import type { AlertListener } from "./alerts/event.ts";
import type { AlertRule, RuleOverride } from "./alerts/rule.ts";
import { defaultRules } from "./alerts/rules.ts";
import { createMemorySilences, type SilenceStore } from "./alerts/silence.ts";
import type { CollectLimits, Detail } from "./collector.ts";
import type { OwnedDatabase } from "./databases.ts";
import { InvalidMonitorOptionsError } from "./errors.ts";
import type { MetricFamily } from "./family.ts";
import { type HistoryStore, noHistory } from "./history/history.ts";
import { type HostStatsSource, noHost } from "./host.ts";
import type { PoolStatsSource } from "./pool-stats.ts";
import { collectors } from "./registry.ts";

/** A server to watch. */
export interface MonitorTarget {
  /** Names the server in metrics (`server` label), findings and health: `primary`, `replica-1`. */
  readonly name: string;
  /**
   * A database of that server. Best a connection or small pool of the monitor's own: what it sets for its session it
   * sets back, but an exhausted application pool must not blind the monitor.
   */
  readonly db: DatabaseLike;
  /** More databases of the same server, for what only a connection to that database can see: tables, indexes. */
  readonly databases?: readonly DatabaseLike[];
  /** As `connectDatabase` of the options, for this server. */
  readonly connectDatabase?: (name: string) => OwnedDatabase;
}

/** Durations are milliseconds. */
export interface MonitorOptions {
  /** The primary. */
  readonly db: DatabaseLike;
  /** More databases of the primary, for their tables and indexes. Default none. */
  readonly databases?: readonly DatabaseLike[];
  /**
   * Connects to another database of the primary: with it every database that the role may connect to is found and
   * watched, new ones within a minute, at most 50. They are visited one after the other, so that a connection that is
   * given back can be closed. A session in a database keeps it from being dropped. Default none.
   */
  readonly connectDatabase?: (name: string) => OwnedDatabase;
  /** Name of the primary in labels and findings. Default `primary`. */
  readonly name?: string;
  /** Its standbys. Their number is also how many the primary is expected to feed. Default none. */
  readonly replicas?: readonly MonitorTarget[];
  /** The application's pool, for its numbers beside the server's. Default none. */
  readonly pool?: PoolStatsSource;
  /** Metrics of other parts of the process, asked on every collection; must answer at once. Default none. */
  readonly metrics?: () => readonly MetricFamily[];
  /** Where numbers about the server's machine come from. Default none; `createLocalHost` where it is this machine. */
  readonly host?: HostStatsSource;
  /** Pause between collections once started. Default 15 000. */
  readonly intervalMs?: number;
  /** How old the dearer metrics may get. Default `T1` 60 000, `T2` 600 000. */
  readonly tierMs?: { readonly T1?: number; readonly T2?: number };
  /**
   * Longest one collection may take per server and database; then the server counts as down. After half of it no
   * further collector is begun. Default 5 000.
   */
  readonly collectTimeoutMs?: number;
  /** `statement_timeout` of the monitor's session. Default 2 000. */
  readonly statementTimeoutMs?: number;
  /** `lock_timeout` of the monitor's session. Default 50. */
  readonly lockTimeoutMs?: number;
  /**
   * How many tables, indexes and statements get their own series, `Infinity` for all. Default 100 each; what was
   * among them stays for 1 h, as long as there are no more than a quarter above.
   */
  readonly limits?: Partial<CollectLimits>;
  /**
   * How often active sessions are looked at for what they wait for once started, and how long each look is kept.
   * Default every second for an hour; `false` turns it off.
   */
  readonly waits?: false | { readonly intervalMs?: number; readonly keepMs?: number };
  /** `full` gives every column of `pg_stat_statements`. Default `usual`. */
  readonly detail?: Detail;
  /** Collectors never run, by name: `database_size` where there are very many tables. Default none. */
  readonly skip?: readonly string[];
  /** Alert rules. Default `defaultRules`; `[]` turns alerting off. */
  readonly rules?: readonly AlertRule[];
  /** Other thresholds for some servers or series. The last that matches wins. */
  readonly overrides?: readonly RuleOverride[];
  /** Times at which alerts are kept but not told. */
  readonly blackouts?: readonly Blackout[];
  /** Where silences live. Default in memory; `createTableSilences` keeps them in a table. */
  readonly silences?: SilenceStore;
  /** Told of every alert that begins, changes its severity or ends. */
  readonly onAlert?: AlertListener;
  /** How long key series are kept in memory. Default 24 h. */
  readonly historyMs?: number;
  /** How long their hourly averages are kept. Default 400 days. */
  readonly keepHoursMs?: number;
  /** Where hours outlive the process. Default nowhere; `createTableHistory` keeps them in a table. */
  readonly history?: HistoryStore;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface MonitorDefaults {
  readonly name: string;
  readonly intervalMs: number;
  readonly tierMs: Readonly<Record<"T0" | "T1" | "T2", number>>;
  readonly collectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly limits: CollectLimits;
  readonly waits: { readonly intervalMs: number; readonly keepMs: number };
  readonly historyMs: number;
  readonly keepHoursMs: number;
}

/** The defaults, in one place. */
export const monitorDefaults: MonitorDefaults = Object.freeze({
  name: "primary",
  intervalMs: 15_000,
  tierMs: Object.freeze({ T0: 0, T1: 60_000, T2: 600_000 }),
  collectTimeoutMs: 5_000,
  statementTimeoutMs: 2_000,
  lockTimeoutMs: 50,
  limits: Object.freeze({ tables: 100, indexes: 100, statements: 100, stickyMs: 3_600_000 }),
  waits: Object.freeze({ intervalMs: 1_000, keepMs: 3_600_000 }),
  historyMs: 86_400_000,
  keepHoursMs: 400 * 86_400_000,
});

export interface ResolvedTarget {
  readonly name: string;
  readonly databases: readonly [Database, ...Database[]];
  readonly connectDatabase: ((name: string) => OwnedDatabase) | undefined;
}

export interface ResolvedMonitorOptions {
  readonly targets: readonly [ResolvedTarget, ...ResolvedTarget[]];
  readonly pool: PoolStatsSource | undefined;
  readonly metrics: () => readonly MetricFamily[];
  readonly host: HostStatsSource;
  readonly intervalMs: number;
  readonly tierMs: Readonly<Record<"T0" | "T1" | "T2", number>>;
  readonly collectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly limits: CollectLimits;
  readonly waits: false | { readonly intervalMs: number; readonly keepMs: number };
  readonly detail: Detail;
  readonly skip: readonly string[];
  readonly rules: readonly AlertRule[];
  readonly overrides: readonly RuleOverride[];
  readonly blackouts: readonly Blackout[];
  readonly silences: SilenceStore;
  readonly onAlert: AlertListener;
  readonly historyMs: number;
  readonly keepHoursMs: number;
  readonly history: HistoryStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Fills in the defaults. @throws {InvalidMonitorOptionsError} naming every problem at once */
export function resolveMonitorOptions(options: MonitorOptions): ResolvedMonitorOptions {
  const rules = options.rules ?? defaultRules;
  const primary: MonitorTarget = {
    name: options.name ?? monitorDefaults.name,
    db: options.db,
    databases: options.databases ?? [],
    ...(options.connectDatabase && { connectDatabase: options.connectDatabase }),
  };
  const resolved = {
    intervalMs: options.intervalMs ?? monitorDefaults.intervalMs,
    tierMs: {
      T0: 0,
      T1: options.tierMs?.T1 ?? monitorDefaults.tierMs.T1,
      T2: options.tierMs?.T2 ?? monitorDefaults.tierMs.T2,
    },
    collectTimeoutMs: options.collectTimeoutMs ?? monitorDefaults.collectTimeoutMs,
    statementTimeoutMs: options.statementTimeoutMs ?? monitorDefaults.statementTimeoutMs,
    lockTimeoutMs: options.lockTimeoutMs ?? monitorDefaults.lockTimeoutMs,
    limits: { ...monitorDefaults.limits, ...options.limits },
    historyMs: options.historyMs ?? monitorDefaults.historyMs,
    keepHoursMs: options.keepHoursMs ?? monitorDefaults.keepHoursMs,
  };
  const servers = [primary, ...(options.replicas ?? [])].map(({ name }) => name);
  const problems = [
    ...positive("intervalMs", resolved.intervalMs),
    ...positive("tierMs.T1", resolved.tierMs.T1),
    ...positive("tierMs.T2", resolved.tierMs.T2),
    ...positive("collectTimeoutMs", resolved.collectTimeoutMs),
    ...positive("statementTimeoutMs", resolved.statementTimeoutMs),
    ...positive("lockTimeoutMs", resolved.lockTimeoutMs),
    ...positive("historyMs", resolved.historyMs),
    ...positive("keepHoursMs", resolved.keepHoursMs),
    ...Object.entries(options.waits || {}).flatMap(([key, value]) => positive(`waits.${key}`, value)),
    ...Object.entries(resolved.limits).flatMap(([key, value]) => positive(`limits.${key}`, value)),
    ...[primary, ...(options.replicas ?? [])]
      .filter(({ databases = [], connectDatabase }) => connectDatabase !== undefined && databases.length > 0)
      .map(({ name }) => `"${name}" has databases and connectDatabase, which would find them once more: give one`),
    ...repeated(servers).map((name) => `two servers are named "${name}"`),
    ...repeated(rules.map(({ name }) => name)).map((name) => `two rules are named "${name}"`),
    ...(options.skip ?? [])
      .filter((name) => !collectors.some((collector) => collector.name === name))
      .map((name) => `skip names the collector "${name}", which does not exist`),
    ...(options.overrides ?? [])
      .filter(({ rule }) => !rules.some(({ name }) => name === rule))
      .map(({ rule }) => `an override names the rule "${rule}", which does not exist`),
    ...blackoutProblems(options.blackouts ?? [], { rules: rules.map(({ name }) => name), servers }),
  ];
  if (problems.length > 0) throw new InvalidMonitorOptionsError(problems);
  return {
    ...resolved,
    targets: [resolveTarget(primary), ...(options.replicas ?? []).map(resolveTarget)],
    pool: options.pool,
    metrics: options.metrics ?? (() => []),
    host: options.host ?? noHost,
    waits: options.waits !== false && { ...monitorDefaults.waits, ...options.waits },
    detail: options.detail ?? "usual",
    skip: options.skip ?? [],
    rules,
    overrides: options.overrides ?? [],
    blackouts: options.blackouts ?? [],
    silences: options.silences ?? createMemorySilences(),
    history: options.history ?? noHistory,
    onAlert: options.onAlert ?? (() => undefined),
    clock: options.clock ?? systemClock,
    logger: options.logger ?? noLogger,
  };
}

function resolveTarget({ name, db, databases = [], connectDatabase }: MonitorTarget): ResolvedTarget {
  return { name, databases: [toDatabase(db), ...databases.map(toDatabase)], connectDatabase };
}

function positive(name: string, value: number): readonly string[] {
  return value > 0 ? [] : [`${name} must be greater than 0, got ${value}`];
}

function repeated(names: readonly string[]): readonly string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}
