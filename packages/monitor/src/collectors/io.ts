import { type Collector, counter, defineView, type MetricColumn } from "../collector.ts";

const operations = ["reads", "writes", "extends", "fsyncs", "hits", "evictions", "reuses", "writebacks"] as const;
const sized = ["read", "write", "extend"] as const;
const timed = ["read", "write", "extend", "fsync", "writeback"] as const;

// 18 counts bytes itself; before, every operation moved one block of op_bytes.
const bytes = (what: string): readonly MetricColumn[] => [
  counter(`pg_stat_io_${what}_bytes_total`, `i.${what}s * i.op_bytes`, `Bytes moved: ${what}`, { until: 17 }),
  counter(`pg_stat_io_${what}_bytes_total`, `i.${what}_bytes`, `Bytes moved: ${what}`, { since: 18 }),
];

/** I/O by who did it, on what and why. */
export const ioCollector: Collector = defineView({
  name: "stat_io",
  tier: "T1",
  since: 16,
  labels: { backend_type: "i.backend_type", object: "i.object", context: "i.context" },
  // Rows that never did anything would triple the number of series and say nothing.
  from: `pg_catalog.pg_stat_io i
          where coalesce(i.reads, 0) + coalesce(i.writes, 0) + coalesce(i.extends, 0) + coalesce(i.hits, 0)
              + coalesce(i.fsyncs, 0) + coalesce(i.evictions, 0) > 0`,
  columns: [
    ...operations.map((what) => counter(`pg_stat_io_${what}_total`, `i.${what}`, `I/O operations: ${what}`)),
    ...sized.flatMap(bytes),
    ...timed.map((what) =>
      counter(
        `pg_stat_io_${what}_seconds_total`,
        `i.${what}_time / 1000`,
        `Time in ${what}; 0 while track_io_timing (for WAL, track_wal_io_timing) is off`,
      ),
    ),
  ],
});
