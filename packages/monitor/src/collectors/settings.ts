import { createHash } from "node:crypto";
import { type Collector, defineMetrics, toNumber, toText } from "../collector.ts";
import type { SettingChange, SettingFact } from "../facts.ts";
import type { MetricDefinition } from "../metric.ts";

interface Setting {
  readonly name: string;
  readonly unit?: "seconds" | "bytes";
  readonly since?: number;
  readonly until?: number;
}

const plain = (...names: readonly string[]): readonly Setting[] => names.map((name) => ({ name }));
const bytes = (...names: readonly string[]): readonly Setting[] => names.map((name) => ({ name, unit: "bytes" }));
const seconds = (...names: readonly string[]): readonly Setting[] => names.map((name) => ({ name, unit: "seconds" }));

/** The settings that rules, recommendations and dashboards read. */
const watched: readonly Setting[] = [
  ...plain("max_connections", "superuser_reserved_connections", "max_locks_per_transaction"),
  { name: "reserved_connections", since: 16 },
  ...plain("max_prepared_transactions", "max_wal_senders", "max_replication_slots", "max_worker_processes"),
  ...plain("max_parallel_workers", "max_parallel_workers_per_gather", "autovacuum", "autovacuum_max_workers"),
  ...plain("autovacuum_freeze_max_age", "autovacuum_multixact_freeze_max_age", "autovacuum_vacuum_threshold"),
  ...plain("autovacuum_vacuum_scale_factor", "autovacuum_vacuum_cost_limit", "checkpoint_completion_target"),
  ...plain("fsync", "full_page_writes", "data_checksums", "hot_standby", "hot_standby_feedback", "jit"),
  ...plain("track_activities", "track_counts", "track_io_timing", "log_lock_waits", "random_page_cost"),
  ...plain("effective_io_concurrency"),
  { name: "hash_mem_multiplier", since: 13 },
  ...seconds("autovacuum_naptime", "autovacuum_vacuum_cost_delay", "checkpoint_timeout", "deadlock_timeout"),
  ...seconds("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
  ...seconds("log_min_duration_statement"),
  ...bytes("shared_buffers", "work_mem", "maintenance_work_mem", "effective_cache_size", "wal_buffers"),
  ...bytes("max_wal_size", "min_wal_size", "block_size", "wal_segment_size"),
  { name: "max_slot_wal_keep_size", unit: "bytes", since: 13 },
  { name: "wal_keep_size", unit: "bytes", since: 13 },
  { name: "wal_keep_segments", until: 12 },
];

const textSettings = [
  "data_directory",
  "shared_preload_libraries",
  "wal_level",
  "archive_mode",
  "synchronous_commit",
  "password_encryption",
  "synchronous_standby_names",
] as const;

const factors: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  min: 60,
  h: 3600,
  d: 86_400,
  B: 1,
  kB: 1024,
  "8kB": 8192,
  MB: 1024 ** 2,
  "16MB": 16 * 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

// reset_val, not setting: the monitor's own session has its own time-outs.
const settingsSql = /* sql */ `
  select name, coalesce(reset_val, setting) as value, coalesce(unit, '') as unit, vartype, pending_restart
    from pg_catalog.pg_settings
   where name = any(string_to_array($1, ',')) or pending_restart`;

// All settings are made for a look at some. A session sees others only when the server was told to reload its files.
const loadedSql = /* sql */ `
  select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_conf_load_time()::text as loaded,
         pg_catalog.pg_postmaster_start_time()::text as started`;

// pg_settings gives block_size no unit, so neither does its metric.
const metricName = ({ name, unit }: Setting): string =>
  `pg_settings_${name}${unit && name !== "block_size" ? `_${unit}` : ""}`;

const settingMetrics: readonly MetricDefinition[] = defineMetrics(
  [
    ...watched.map((setting) => ({
      name: metricName(setting),
      type: "gauge" as const,
      help: `Server parameter ${setting.name}${setting.unit ? `, in ${setting.unit}` : ""}`,
      ...(setting.since !== undefined && { since: setting.since }),
      ...(setting.until !== undefined && { until: setting.until }),
    })),
    {
      name: "pg_settings_pending_restart",
      type: "gauge",
      help: "Settings changed in the files that wait for a restart",
    },
    {
      name: "pg_settings_fingerprint",
      type: "gauge",
      help: "A number that changes when one of the settings watched does",
    },
    {
      name: "pg_connections_usable",
      type: "gauge",
      help: "Connections ordinary roles may hold: max_connections without the reserved ones",
    },
  ],
  { name: "settings", tier: "T1" },
  [],
);

/** The value of a setting in base units: booleans as 0 and 1, -1 kept as it is. */
export function settingValue(value: string, unit: string, type: string): number | null {
  if (type === "bool") return value === "on" ? 1 : 0;
  const number = toNumber(value);
  if (number === null || number === -1) return number;
  return number * (factors[unit] ?? unitFactor(unit));
}

function unitFactor(unit: string): number {
  const match = /^(\d+)(kB|MB)$/.exec(unit);
  return match ? Number(match[1]) * (factors[match[2] ?? "B"] ?? 1) : 1;
}

const mostChanges = 20;

/** 48 bits of a hash: what a double holds exactly. */
function fingerprint(rows: readonly Record<string, unknown>[]): number {
  const text = rows.map((row) => `${toText(row["name"])}=${toText(row["value"])}`).toSorted();
  return Number.parseInt(createHash("sha256").update(text.join("\n")).digest("hex").slice(0, 12), 16);
}

/** The settings others depend on, as numbers and as facts. */
export const settingsCollector: Collector = {
  name: "settings",
  tier: "T1",
  per: "server",
  scope: "any",
  since: 12,
  metrics: settingMetrics,
  begin: () => {
    let before: Readonly<Record<string, SettingFact>> | undefined;
    let changed: readonly SettingChange[] = [];
    let known: { readonly loaded: string; readonly rows: readonly Record<string, unknown>[] } | undefined;
    return async (session, { now }) => {
      const names = [...watched.map(({ name }) => name), ...textSettings].join(",");
      // Asked for first: what is loaded in between is then read again.
      const loaded = Object.values((await session.query<Record<string, unknown>>(loadedSql)).rows[0] ?? {});
      if (known?.loaded !== loaded.join()) {
        const { rows } = await session.query<Record<string, unknown>>(settingsSql, [names]);
        known = { loaded: loaded.join(), rows };
      }
      const { rows } = known;
      const byName = new Map(rows.map((row) => [toText(row["name"]), row]));
      const metrics: string[] = [];
      const values: (number | null)[] = [];
      for (const setting of watched) {
        const row = byName.get(setting.name);
        if (!row) continue;
        metrics.push(metricName(setting));
        values.push(settingValue(toText(row["value"]), toText(row["unit"]), toText(row["vartype"])));
      }
      const numberOf = (name: string): number => toNumber(byName.get(name)?.["value"]) ?? 0;
      metrics.push("pg_settings_pending_restart", "pg_settings_fingerprint", "pg_connections_usable");
      values.push(
        rows.filter((row) => row["pending_restart"] === true).length,
        fingerprint(rows),
        numberOf("max_connections") - numberOf("superuser_reserved_connections") - numberOf("reserved_connections"),
      );
      const settings: Record<string, SettingFact> = {};
      for (const [name, row] of byName) {
        settings[name] = {
          value: toText(row["value"]),
          unit: toText(row["unit"]),
          pendingRestart: row["pending_restart"] === true,
        };
      }
      changed = [...(before ? changesBetween(before, settings, now) : []), ...changed].slice(0, mostChanges);
      before = settings;
      return {
        tables: [{ labelNames: [], metrics, rows: [{ labels: [], values }] }],
        facts: { settings, changedSettings: changed },
      };
    };
  },
};

function changesBetween(
  before: Readonly<Record<string, SettingFact>>,
  now: Readonly<Record<string, SettingFact>>,
  at: number,
): readonly SettingChange[] {
  return Object.entries(now).flatMap(([name, { value, unit }]) => {
    const from = before[name]?.value;
    return from === undefined || from === value
      ? []
      : [{ name, from, to: value, unit, at: new Date(at).toISOString() }];
  });
}
