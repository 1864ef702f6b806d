import { type Collector, counter, defineMetrics } from "../collector.ts";
import { type RankedColumn, Ranking } from "../ranked.ts";
import { isUserTable, userTables } from "./table.ts";

const name = "user_indexes";
const columns: readonly RankedColumn[] = [
  counter("pg_stat_user_indexes_idx_scan_total", "pg_stat_get_numscans(x.indexrelid)", "Scans of the index"),
  counter("pg_stat_user_indexes_idx_tup_read_total", "pg_stat_get_tuples_returned(x.indexrelid)", "Entries read"),
  counter("pg_stat_user_indexes_idx_tup_fetch_total", "pg_stat_get_tuples_fetched(x.indexrelid)", "Rows fetched"),
  {
    name: "pg_stat_user_indexes_last_idx_scan",
    type: "gauge",
    sql: "coalesce(pg_catalog.date_part('epoch', pg_stat_get_lastscan(x.indexrelid)), 0)",
    help: "When the index was last scanned",
    since: 16,
    other: "none",
  },
  counter(
    "pg_statio_user_indexes_idx_blks_read_total",
    "pg_stat_get_blocks_fetched(x.indexrelid) - pg_stat_get_blocks_hit(x.indexrelid)",
    "Index blocks read",
  ),
  counter(
    "pg_statio_user_indexes_idx_blks_hit_total",
    "pg_stat_get_blocks_hit(x.indexrelid)",
    "Index blocks found in shared buffers",
  ),
];
const labels = {
  datname: "current_database()",
  schemaname: "n.nspname",
  relname: "c.relname",
  indexrelname: "ic.relname",
};

/** The busiest indexes. */
export const indexCollector: Collector = {
  name,
  tier: "T2",
  per: "database",
  scope: "any",
  since: 12,
  metrics: defineMetrics(columns, { name, tier: "T2" }, Object.keys(labels)),
  begin: () => {
    let ranking: Ranking | undefined;
    return async (session, context) => {
      ranking ??= new Ranking({ limit: context.limits.indexes, stickyMs: context.limits.stickyMs });
      const options = {
        key: [{ sql: "x.indexrelid", type: "oid" }] as const,
        labels,
        otherLabels: () => [context.database, "", "", "other"],
        from: `${userTables} join pg_catalog.pg_index x on x.indrelid = c.oid
          join pg_catalog.pg_class ic on ic.oid = x.indexrelid where ${isUserTable}`,
        rank: "pg_stat_get_tuples_returned(x.indexrelid) + pg_stat_get_numscans(x.indexrelid)",
        columns,
      };
      return { tables: [(await ranking.read(session, options, context)).table] };
    };
  },
};
