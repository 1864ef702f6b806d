import { type Collector, defineView, gauge } from "../collector.ts";

/** What the server is: start, version, role, resets of its statistics. */
export const serverCollectors: readonly Collector[] = [
  defineView({
    name: "postmaster",
    tier: "T0",
    unhurried: true,
    labels: {},
    from: "(select 1) as one",
    columns: [
      gauge(
        "pg_postmaster_start_time_seconds",
        "extract(epoch from pg_catalog.pg_postmaster_start_time())",
        "Time at which the server started",
      ),
      gauge(
        "pg_replication_is_replica",
        "pg_catalog.pg_is_in_recovery()::int",
        "1 when the server is in recovery, 0 when it is a primary",
      ),
    ],
  }),
  defineView({
    name: "static",
    tier: "T1",
    labels: {
      version: "pg_catalog.version()",
      short_version: "pg_catalog.current_setting('server_version')",
    },
    from: "(select 1) as one",
    columns: [gauge("pg_static", "1", "Version string as reported by the server")],
  }),
  defineView({
    name: "stats_reset",
    tier: "T1",
    labels: { view: "v.name" },
    from: (version) => `(values
        ('archiver', (select stats_reset from pg_catalog.pg_stat_archiver)),
        ('bgwriter', (select stats_reset from pg_catalog.pg_stat_bgwriter))
        ${version >= 14 ? ", ('wal', (select stats_reset from pg_catalog.pg_stat_wal))" : ""}
        ${version >= 16 ? ", ('io', (select max(stats_reset) from pg_catalog.pg_stat_io))" : ""}
        ${version >= 17 ? ", ('checkpointer', (select stats_reset from pg_catalog.pg_stat_checkpointer))" : ""}
      ) as v (name, reset) where v.reset is not null`,
    columns: [
      gauge("pg_stats_reset_timestamp_seconds", "extract(epoch from v.reset)", "When a statistics view was last reset"),
    ],
  }),
];
