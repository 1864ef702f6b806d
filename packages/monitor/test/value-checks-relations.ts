import { epoch, since, type ValueCheck } from "./value-check.ts";

export function relationChecks(version: number): readonly ValueCheck[] {
  const counted =
    "seq_scan seq_tup_read idx_scan idx_tup_fetch n_tup_ins n_tup_upd n_tup_del n_tup_hot_upd n_live_tup n_dead_tup n_mod_since_analyze vacuum_count autovacuum_count analyze_count autoanalyze_count"
      .split(" ")
      .concat(since(version, 13, ["n_ins_since_vacuum"]), since(version, 16, ["n_tup_newpage_upd"]));
  // Up to 14 the view counts the index of a TOAST table once for every index of the table.
  const toastIndex = (column: string): string =>
    `(select coalesce(sum(x.${column}), 0) from pg_statio_all_indexes x join pg_class c on c.reltoastrelid = x.relid
       where c.oid = s.relid)`;
  const blocks = ["read", "hit"].flatMap((what) => [
    ...["heap", "idx", "toast"].map((kind) => [
      `pg_statio_user_tables_${kind}_blocks_${what}`,
      `coalesce(io.${kind}_blks_${what}, 0)`,
    ]),
    [`pg_statio_user_tables_tidx_blocks_${what}`, toastIndex(`idx_blks_${what}`)],
  ]);
  const forks = (relation: string): string =>
    ["main", "fsm", "vm"].map((fork) => `coalesce(pg_relation_size(${relation}, '${fork}'), 0)`).join(" + ");
  const inDatabase = { datname: "current_database()" };
  return [
    {
      labels: { schemaname: "schemaname", relname: "relname" },
      from: "pg_stat_user_tables s join pg_statio_user_tables io using (relid, schemaname, relname)",
      values: Object.fromEntries([
        ...counted.map((name) => [`pg_stat_user_tables_${name}`, `coalesce(s.${name}, 0)`]),
        ...blocks,
      ]),
    },
    ...["vacuum", "autovacuum", "analyze", "autoanalyze"].map((what): ValueCheck => ({
      labels: { relname: "relname" },
      from: `pg_stat_user_tables where last_${what} is not null`,
      values: { [`pg_stat_user_tables_last_${what}`]: epoch(`last_${what}`) },
      on: "primary",
    })),
    {
      labels: { relname: "c.relname" },
      from: `pg_class c join pg_stat_user_tables s on s.relid = c.oid left join pg_class t on t.oid = c.reltoastrelid
               left join pg_index x on x.indrelid = t.oid`,
      values: {
        pg_stat_user_tables_table_size_bytes: `${forks("c.oid")} + ${forks("t.oid")} + ${forks("x.indexrelid")}`,
        pg_stat_user_tables_index_size_bytes: `(select coalesce(sum(${forks("indexrelid")}), 0) from pg_index i where i.indrelid = c.oid)`,
      },
    },
    {
      labels: { relname: "relname", indexrelname: "indexrelname" },
      from: "pg_stat_user_indexes s join pg_statio_user_indexes io using (indexrelid, relname, indexrelname)",
      values: {
        pg_stat_user_indexes_idx_scan_total: "idx_scan",
        pg_stat_user_indexes_idx_tup_read_total: "idx_tup_read",
        pg_stat_user_indexes_idx_tup_fetch_total: "idx_tup_fetch",
        pg_statio_user_indexes_idx_blks_read_total: "idx_blks_read",
        pg_statio_user_indexes_idx_blks_hit_total: "idx_blks_hit",
      },
    },
    ...since<ValueCheck>(version, 16, [
      {
        labels: { indexrelname: "indexrelname" },
        from: "pg_stat_user_indexes where last_idx_scan is not null",
        values: { pg_stat_user_indexes_last_idx_scan: epoch("last_idx_scan") },
        on: "primary",
      },
    ]),
    ...[
      ["half", "100"],
      ["wide", "2147483647"],
    ].map(([name, end]): ValueCheck => ({
      labels: { sequencename: `'${name}'` },
      from: name!,
      values: { pg_sequences_used_ratio: `last_value::float8 / ${end}` },
      on: "primary",
    })),
    {
      labels: inDatabase,
      from: "wide",
      values: { pg_sequences_used_ratio_max: "last_value::float8 / 2147483647" },
      on: "primary",
    },
    {
      labels: { relname: "s.relname" },
      from: "pg_stat_user_tables s join pg_class c on c.oid = s.relid where s.relname = 'keyless'",
      values: { pg_vacuum_trigger_ratio: "n_dead_tup / (50 + 0.2 * reltuples)" },
      on: "primary",
    },
    {
      labels: inDatabase,
      from: "pg_stat_user_tables s join pg_class c on c.oid = s.relid",
      values: {
        pg_vacuum_tables_overdue: "count(*) filter (where n_dead_tup > 50 + 0.2 * greatest(reltuples, 0))",
        pg_vacuum_trigger_ratio_max: "max(n_dead_tup / (50 + 0.2 * greatest(reltuples, 0)))",
      },
      on: "primary",
    },
    {
      labels: inDatabase,
      from: "pg_tables t where schemaname = 'public'",
      values: {
        pg_table_without_primary_key:
          "count(*) filter (where not exists (select from information_schema.table_constraints k where k.table_name = t.tablename and k.constraint_type = 'PRIMARY KEY'))",
        pg_constraint_not_validated: "(select count(*) from pg_constraint where not convalidated)",
        pg_index_invalid: "(select count(*) from pg_index where not indisvalid)",
      },
      on: "primary",
    },
  ];
}

export function statementChecks(version: number): readonly ValueCheck[] {
  const read = version >= 17 ? "shared_blk_" : "blk_";
  const time = version >= 13 ? "exec_time" : "time";
  const counted =
    "calls rows shared_blks_hit shared_blks_read temp_blks_written shared_blks_dirtied shared_blks_written local_blks_hit local_blks_read local_blks_dirtied local_blks_written temp_blks_read"
      .split(" ")
      .concat(since(version, 13, ["wal_bytes"]));
  return [
    {
      labels: { datname: "d.datname", queryid: "s.queryid", user: "pg_get_userbyid(s.userid)" },
      // Those that nobody runs now: nothing here, nothing of the monitor's.
      from: `pg_stat_statements s join pg_database d on d.oid = s.dbid
              where query ~ 'kept|keyless|pending' and query !~ 'pg_' group by 1, 2, 3`,
      values: {
        ...Object.fromEntries(counted.map((name) => [`pg_stat_statements_${name}_total`, `sum(s.${name})`])),
        pg_stat_statements_seconds_total: `sum(total_${time}) / 1000`,
        pg_stat_statements_block_read_seconds_total: `sum(${read}read_time) / 1000`,
        pg_stat_statements_block_write_seconds_total: `sum(${read}write_time) / 1000`,
        ...(version >= 13 && { pg_stat_statements_plan_seconds_total: "sum(total_plan_time) / 1000" }),
        pg_stat_statements_min_seconds: `min(min_${time}) / 1000`,
        pg_stat_statements_max_seconds: `max(max_${time}) / 1000`,
        pg_stat_statements_stddev_seconds: `max(stddev_${time}) / 1000`,
      },
      on: "primary",
    },
    {
      labels: {},
      from: "pg_stat_statements",
      values: {
        pg_stat_statements_entries: "count(*)",
        pg_stat_statements_entries_ratio: "count(*) / current_setting('pg_stat_statements.max')::float8",
        ...(version >= 14 && { pg_stat_statements_dealloc_total: "(select dealloc from pg_stat_statements_info)" }),
      },
      on: "primary",
    },
  ];
}
