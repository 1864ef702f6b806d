import { type Collector, counter, defineMetrics, gauge } from "../collector.ts";
import { type RankedColumn, Ranking } from "../ranked.ts";

const name = "user_tables";
const none = { other: "none" } as const;
// extract() gives numeric from 14 on, which becomes floating point by way of text.
const epoch = (sql: string): string => `pg_catalog.date_part('epoch', ${sql})`;

const stat = (column: string, type: "counter" | "gauge", sql: string, help: string): RankedColumn => ({
  name: `pg_stat_user_tables_${column}`,
  type,
  sql,
  help,
  sparse: true,
});
const moment = (column: string, sql: string, help: string): RankedColumn => ({
  ...stat(column, "gauge", epoch(sql), help),
  ...none,
});

/** Straight from the statistics functions: the views join and sum three times as long. */
const columns: readonly RankedColumn[] = [
  stat("seq_scan", "counter", "pg_stat_get_numscans(c.oid)", "Sequential scans of the table"),
  stat("seq_tup_read", "counter", "pg_stat_get_tuples_returned(c.oid)", "Rows read by sequential scans"),
  stat("idx_scan", "counter", "i.scans", "Index scans of the table"),
  stat(
    "idx_tup_fetch",
    "counter",
    "coalesce(i.fetched, 0) + pg_stat_get_tuples_fetched(c.oid)",
    "Rows fetched by index scans",
  ),
  stat("n_tup_ins", "counter", "pg_stat_get_tuples_inserted(c.oid)", "Rows inserted"),
  stat("n_tup_upd", "counter", "pg_stat_get_tuples_updated(c.oid)", "Rows updated"),
  stat("n_tup_del", "counter", "pg_stat_get_tuples_deleted(c.oid)", "Rows deleted"),
  stat("n_tup_hot_upd", "counter", "pg_stat_get_tuples_hot_updated(c.oid)", "Rows updated without a new index entry"),
  {
    ...stat("n_tup_newpage_upd", "counter", "pg_stat_get_tuples_newpage_updated(c.oid)", "Rows updated to a new page"),
    since: 16,
  },
  stat("n_live_tup", "gauge", "pg_stat_get_live_tuples(c.oid)", "Estimated live rows"),
  stat("n_dead_tup", "gauge", "pg_stat_get_dead_tuples(c.oid)", "Estimated dead rows"),
  stat("n_mod_since_analyze", "gauge", "pg_stat_get_mod_since_analyze(c.oid)", "Estimated rows changed since ANALYZE"),
  {
    ...stat("n_ins_since_vacuum", "gauge", "pg_stat_get_ins_since_vacuum(c.oid)", "Estimated inserts since VACUUM"),
    since: 13,
  },
  moment("last_vacuum", "pg_stat_get_last_vacuum_time(c.oid)", "When the table was last vacuumed by hand"),
  moment("last_autovacuum", "pg_stat_get_last_autovacuum_time(c.oid)", "When autovacuum last vacuumed the table"),
  moment("last_analyze", "pg_stat_get_last_analyze_time(c.oid)", "When the table was last analyzed by hand"),
  moment("last_autoanalyze", "pg_stat_get_last_autoanalyze_time(c.oid)", "When autovacuum last analyzed the table"),
  stat("vacuum_count", "counter", "pg_stat_get_vacuum_count(c.oid)", "Times vacuumed by hand"),
  stat("autovacuum_count", "counter", "pg_stat_get_autovacuum_count(c.oid)", "Times vacuumed by autovacuum"),
  stat("analyze_count", "counter", "pg_stat_get_analyze_count(c.oid)", "Times analyzed by hand"),
  stat("autoanalyze_count", "counter", "pg_stat_get_autoanalyze_count(c.oid)", "Times analyzed by autovacuum"),
  ...(
    [
      ["heap_blocks_read", "pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid)", "Heap blocks read"],
      ["heap_blocks_hit", "pg_stat_get_blocks_hit(c.oid)", "Heap blocks found in shared buffers"],
      ["idx_blocks_read", "i.block_reads", "Index blocks read"],
      ["idx_blocks_hit", "i.block_hits", "Index blocks found in shared buffers"],
      [
        "toast_blocks_read",
        "pg_stat_get_blocks_fetched(c.reltoastrelid) - pg_stat_get_blocks_hit(c.reltoastrelid)",
        "TOAST blocks read",
      ],
      ["toast_blocks_hit", "pg_stat_get_blocks_hit(c.reltoastrelid)", "TOAST blocks found in shared buffers"],
      [
        "tidx_blocks_read",
        "pg_stat_get_blocks_fetched(t.indexrelid) - pg_stat_get_blocks_hit(t.indexrelid)",
        "TOAST index blocks read",
      ],
      ["tidx_blocks_hit", "pg_stat_get_blocks_hit(t.indexrelid)", "TOAST index blocks found in shared buffers"],
    ] as const
  ).map(([column, sql, help]) => ({ ...counter(`pg_statio_user_tables_${column}`, sql, help), sparse: true as const })),
];

// Floating point: sums of bigint are numeric, and three times as slow.
const indexSums = `
    i as materialized (
      select x.indrelid,
             sum(pg_stat_get_numscans(x.indexrelid)::float8) as scans,
             sum(pg_stat_get_tuples_fetched(x.indexrelid)::float8) as fetched,
             sum((pg_stat_get_blocks_fetched(x.indexrelid)
                  - pg_stat_get_blocks_hit(x.indexrelid))::float8) as block_reads,
             sum(pg_stat_get_blocks_hit(x.indexrelid)::float8) as block_hits
        from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid
       where c.relkind in ('r', 'm') group by 1)`;

/** User tables as `pg_stat_user_tables` knows them. */
export const userTables = `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace`;
export const isUserTable = `c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname !~ '^pg_(toast|temp)'`;

const labels = { datname: "current_database()", schemaname: "n.nspname", relname: "c.relname" };
const tableKey = [{ sql: "c.oid", type: "oid" }] as const;
const otherLabels = ({ database }: { readonly database: string }): readonly string[] => [database, "", "other"];

/** The busiest tables with the statistics of `pg_stat_user_tables` and `pg_statio_user_tables`. */
export const tableCollector: Collector = {
  name,
  tier: "T1",
  per: "database",
  scope: "any",
  since: 12,
  metrics: defineMetrics(columns, { name, tier: "T1" }, Object.keys(labels)),
  begin: () => {
    let ranking: Ranking | undefined;
    return async (session, context) => {
      ranking ??= new Ranking({ limit: context.limits.tables, stickyMs: context.limits.stickyMs });
      const options = {
        with: indexSums,
        key: tableKey,
        labels,
        otherLabels,
        // A TOAST table has one index.
        from: `${userTables} left join i on i.indrelid = c.oid
          left join pg_catalog.pg_index t on t.indrelid = c.reltoastrelid and t.indisvalid
          where ${isUserTable}`,
        rank: `pg_stat_get_tuples_returned(c.oid) + coalesce(i.fetched, 0) + pg_stat_get_tuples_inserted(c.oid)
          + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)`,
        columns,
      };
      return { tables: [(await ranking.read(session, options, context)).table] };
    };
  },
};

// pg_table_size() asks the file system, and waits for a table that is locked ACCESS EXCLUSIVE; the page count in the
// catalog does neither. So the largest are measured, and the many others only counted.
const size = (measured: number, exact: string, pages: string): string =>
  `case when ${Number.isFinite(measured) ? `c.size_rank <= ${measured}` : "true"} and l.relation is null
        then ${exact} else ${pages} * c.block_size end`;

const sizes = (measured: number): readonly RankedColumn[] => [
  gauge(
    "pg_stat_user_tables_table_size_bytes",
    size(measured, "pg_catalog.pg_table_size(c.oid)", "c.relpages"),
    "Disk space used by the table with its TOAST; an estimate while the table is locked",
  ),
  gauge(
    "pg_stat_user_tables_index_size_bytes",
    size(measured, "pg_catalog.pg_indexes_size(c.oid)", "coalesce(i.pages, 0)"),
    "Disk space used by the table's indexes; an estimate while the table is locked",
  ),
];

/** Exact sizes of the largest tables: the one question about tables that can be expensive, so it is asked rarely. */
export const tableSizeCollector: Collector = {
  name: "user_table_sizes",
  tier: "T2",
  per: "database",
  scope: "any",
  since: 12,
  metrics: defineMetrics(sizes(0), { name: "user_table_sizes", tier: "T2" }, Object.keys(labels)),
  begin: () => {
    let ranking: Ranking | undefined;
    return async (session, context) => {
      ranking ??= new Ranking({ limit: context.limits.tables, stickyMs: context.limits.stickyMs });
      const options = {
        key: tableKey,
        labels: { ...labels, schemaname: "c.nspname" },
        otherLabels,
        from: `(select c.oid, c.relname, c.relnamespace, greatest(c.relpages, 0)::bigint as relpages, n.nspname,
                       row_number() over (order by c.relpages desc) as size_rank,
                       current_setting('block_size')::bigint as block_size
                  from ${userTables} where ${isUserTable}) c
          left join (select x.indrelid, sum(ic.relpages)::bigint as pages
                       from pg_catalog.pg_index x join pg_catalog.pg_class ic on ic.oid = x.indexrelid group by 1)
                    i on i.indrelid = c.oid
          left join (select distinct relation from pg_catalog.pg_locks
                      where locktype = 'relation' and mode = 'AccessExclusiveLock'
                        and database = (select oid from pg_catalog.pg_database where datname = current_database()))
                    l on l.relation = c.oid`,
        rank: "c.relpages",
        columns: sizes(context.limits.tables),
      };
      return { tables: [(await ranking.read(session, options, context)).table] };
    };
  },
};
