import { type Collector, counter, defineView, gauge, type MetricColumn } from "../collector.ts";

/** Names before 17, kept alive on 17 and later over the view that took over, so that older rules still fire. */
const checkpointAliases: readonly MetricColumn[] = (
  [
    ["checkpoints_timed", "num_timed", "Checkpoints begun by the clock"],
    ["checkpoints_req", "num_requested", "Checkpoints begun on request, mostly because WAL reached max_wal_size"],
    ["checkpoint_write_time", "write_time", "Milliseconds checkpoints spent writing files"],
    ["checkpoint_sync_time", "sync_time", "Milliseconds checkpoints spent syncing files"],
    ["buffers_checkpoint", "buffers_written", "Buffers written by checkpoints"],
  ] as const
).flatMap(([old, now, help]) => [
  counter(`pg_stat_bgwriter_${old}_total`, `b.${old}`, help, { until: 16 }),
  counter(`pg_stat_bgwriter_${old}_total`, `c.${now}`, help, {
    since: 17,
    aliasOf: `pg_stat_checkpointer_${now}_total`,
  }),
]);

/** Background writer and checkpointer: one view up to 16, two from 17. */
export const writingCollectors: readonly Collector[] = [
  defineView({
    name: "stat_bgwriter",
    tier: "T0",
    unhurried: true,
    labels: {},
    from: (version) =>
      version >= 17
        ? "pg_catalog.pg_stat_bgwriter b, pg_catalog.pg_stat_checkpointer c"
        : "pg_catalog.pg_stat_bgwriter b",
    columns: [
      ...checkpointAliases,
      counter("pg_stat_bgwriter_buffers_clean_total", "b.buffers_clean", "Buffers written by the background writer"),
      counter(
        "pg_stat_bgwriter_maxwritten_clean_total",
        "b.maxwritten_clean",
        "Times the background writer stopped because it had written enough",
      ),
      counter("pg_stat_bgwriter_buffers_backend_total", "b.buffers_backend", "Buffers written by backends", {
        until: 16,
      }),
      counter("pg_stat_bgwriter_buffers_backend_fsync_total", "b.buffers_backend_fsync", "Fsyncs done by backends", {
        until: 16,
      }),
      counter("pg_stat_bgwriter_buffers_alloc_total", "b.buffers_alloc", "Buffers allocated"),
      gauge("pg_stat_bgwriter_stats_reset_total", "extract(epoch from b.stats_reset)", "When these were last reset"),
    ],
  }),
  defineView({
    name: "stat_checkpointer",
    tier: "T0",
    unhurried: true,
    since: 17,
    labels: {},
    from: "pg_catalog.pg_stat_checkpointer c",
    columns: [
      counter("pg_stat_checkpointer_num_timed_total", "c.num_timed", "Checkpoints begun by the clock"),
      counter("pg_stat_checkpointer_num_requested_total", "c.num_requested", "Checkpoints begun on request"),
      counter("pg_stat_checkpointer_num_done_total", "c.num_done", "Checkpoints completed", { since: 18 }),
      counter("pg_stat_checkpointer_restartpoints_timed_total", "c.restartpoints_timed", "Restartpoints by the clock"),
      counter("pg_stat_checkpointer_restartpoints_req_total", "c.restartpoints_req", "Restartpoints on request"),
      counter("pg_stat_checkpointer_restartpoints_done_total", "c.restartpoints_done", "Restartpoints completed"),
      counter("pg_stat_checkpointer_write_time_total", "c.write_time", "Milliseconds spent writing files"),
      counter("pg_stat_checkpointer_sync_time_total", "c.sync_time", "Milliseconds spent syncing files"),
      counter("pg_stat_checkpointer_buffers_written_total", "c.buffers_written", "Buffers written"),
      counter("pg_stat_checkpointer_slru_written_total", "c.slru_written", "SLRU buffers written", { since: 18 }),
      gauge("pg_stat_checkpointer_stats_reset_total", "extract(epoch from c.stats_reset)", "When these were reset"),
    ],
  }),
  defineView({
    name: "stat_wal",
    tier: "T0",
    since: 14,
    labels: {},
    from: "pg_catalog.pg_stat_wal w",
    columns: [
      counter("pg_stat_wal_records_total", "w.wal_records", "WAL records written"),
      counter("pg_stat_wal_fpi_total", "w.wal_fpi", "Full page images written"),
      counter("pg_stat_wal_bytes_total", "w.wal_bytes", "Bytes of WAL written"),
      counter("pg_stat_wal_buffers_full_total", "w.wal_buffers_full", "Times WAL was written as its buffers were full"),
    ],
  }),
  defineView({
    name: "wal_directory",
    tier: "T2",
    labels: {},
    from: "pg_catalog.pg_ls_waldir()",
    columns: [
      gauge("pg_wal_segments", "count(*)", "Files in pg_wal"),
      gauge("pg_wal_size_bytes", "coalesce(sum(size), 0)", "Size of the files in pg_wal"),
    ],
  }),
  defineView({
    name: "stat_archiver",
    tier: "T0",
    unhurried: true,
    labels: {},
    from: "pg_catalog.pg_stat_archiver a",
    columns: [
      counter("pg_stat_archiver_archived_count", "a.archived_count", "WAL files archived"),
      counter("pg_stat_archiver_failed_count", "a.failed_count", "Failed attempts to archive a WAL file"),
      gauge(
        "pg_stat_archiver_last_archive_age",
        "extract(epoch from clock_timestamp() - a.last_archived_time)",
        "Seconds since a WAL file was archived",
      ),
      gauge(
        "pg_stat_archiver_last_failed_seconds",
        "extract(epoch from clock_timestamp() - a.last_failed_time)",
        "Seconds since archiving failed",
      ),
      gauge(
        "pg_stat_archiver_failing",
        "coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false)::int",
        "1 when the last attempt to archive failed",
      ),
    ],
  }),
  defineView({
    name: "archive_status",
    tier: "T1",
    labels: {},
    from: "pg_catalog.pg_ls_archive_statusdir() f",
    columns: [
      gauge("pg_wal_archive_ready_files", "count(*) filter (where f.name like '%.ready')", "WAL files to be archived"),
    ],
  }),
  defineView({
    name: "stat_slru",
    tier: "T1",
    since: 13,
    labels: { name: "s.name" },
    from: "pg_catalog.pg_stat_slru s",
    columns: ["zeroed", "hit", "read", "written", "exists"]
      .map((what) => counter(`pg_stat_slru_blks_${what}_total`, `s.blks_${what}`, `SLRU blocks: ${what}`))
      .concat(
        ["flushes", "truncates"].map((what) => counter(`pg_stat_slru_${what}_total`, `s.${what}`, `SLRU ${what}`)),
      ),
  }),
];
