import { bytes, count, flag, type Inspection, ratio, text, time } from "./inspection.ts";

// Sizes come from relpages, as of the last VACUUM or ANALYZE: pg_table_size() waits for locks, relpages does not.
const pages = (relation: string): string => `(${relation}.relpages::int8 * current_setting('block_size')::int8)`;
const ownSchemas = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";
const option = (name: string): string =>
  `(select o.option_value from pg_catalog.pg_options_to_table(c.reloptions) o where o.option_name = '${name}')`;

const indexBytes = `(select coalesce(sum(x.relpages), 0)::int8 * current_setting('block_size')::int8
                       from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
                      where i.indrelid = s.relid)`;

/** Tables, indexes and sequences of one database. */
export const relationInspections: readonly Inspection[] = [
  {
    name: "tables",
    aliases: ["table-stats", "table-sizes", "seq-scans"],
    title: "Tables",
    summary: "size, rows, reads and writes of each table, largest first",
    columns: [
      text("table", "Table"),
      count("rows", "Rows"),
      bytes("tableBytes", "Table"),
      bytes("indexBytes", "Indexes"),
      count("sequentialScans", "Seq. scans"),
      count("indexScans", "Index scans"),
      count("inserted", "Inserted"),
      count("updated", "Updated"),
      count("deleted", "Deleted"),
      ratio("hotRatio", "HOT updates"),
      ratio("deadRatio", "Dead rows"),
    ],
    empty: "There is no table in this database.",
    sql: () => /* sql */ `
      select s.schemaname || '.' || s.relname as table, greatest(c.reltuples, s.n_live_tup)::int8 as rows,
             ${pages("c")} as "tableBytes", ${indexBytes} as "indexBytes", s.seq_scan as "sequentialScans",
             coalesce(s.idx_scan, 0) as "indexScans", s.n_tup_ins as inserted, s.n_tup_upd as updated,
             s.n_tup_del as deleted, s.n_tup_hot_upd::float8 / nullif(s.n_tup_upd, 0) as "hotRatio",
             s.n_dead_tup::float8 / nullif(s.n_live_tup + s.n_dead_tup, 0) as "deadRatio"
        from pg_catalog.pg_stat_user_tables s join pg_catalog.pg_class c on c.oid = s.relid
       order by c.relpages desc, 1 limit $1`,
  },
  {
    name: "vacuum",
    aliases: ["vacuum-stats"],
    title: "Vacuum",
    summary: "dead rows against each table's own autovacuum trigger, and the way to a freeze",
    columns: [
      text("table", "Table"),
      count("deadRows", "Dead rows"),
      count("triggerRows", "Trigger"),
      ratio("triggerRatio", "Of trigger"),
      count("changedSinceAnalyze", "Since ANALYZE"),
      time("lastVacuum", "Last VACUUM"),
      time("lastAnalyze", "Last ANALYZE"),
      count("xidAge", "Xid age"),
      ratio("freezeRatio", "Way to freeze"),
      flag("autovacuum", "Autovacuum"),
    ],
    empty: "There is no table in this database.",
    sql: () => /* sql */ `
      select *, "deadRows"::float8 / nullif("triggerRows", 0) as "triggerRatio" from (
        select s.schemaname || '.' || s.relname as table, s.n_dead_tup as "deadRows",
               (coalesce(${option("autovacuum_vacuum_threshold")}, current_setting('autovacuum_vacuum_threshold'))::float8
                + coalesce(${option("autovacuum_vacuum_scale_factor")}, current_setting('autovacuum_vacuum_scale_factor'))::float8
                  * greatest(c.reltuples, 0))::int8 as "triggerRows",
               s.n_mod_since_analyze as "changedSinceAnalyze", greatest(s.last_vacuum, s.last_autovacuum) as "lastVacuum",
               greatest(s.last_analyze, s.last_autoanalyze) as "lastAnalyze", age(c.relfrozenxid)::int8 as "xidAge",
               age(c.relfrozenxid)::float8 / current_setting('autovacuum_freeze_max_age')::float8 as "freezeRatio",
               current_setting('autovacuum')::bool and coalesce(${option("autovacuum_enabled")}, 'true')::bool as autovacuum
          from pg_catalog.pg_stat_user_tables s join pg_catalog.pg_class c on c.oid = s.relid) v
       order by "triggerRatio" desc nulls last, "xidAge" desc, 1 limit $1`,
  },
  {
    name: "bloat",
    title: "Bloat, estimated",
    summary: "space that tables and B-tree indexes take beyond what their rows need; an estimate from statistics",
    columns: [
      text("object", "Object"),
      text("kind", "Kind"),
      bytes("sizeBytes", "Size"),
      bytes("wastedBytesEstimate", "Wasted (est.)"),
      ratio("wastedRatioEstimate", "Of size (est.)"),
    ],
    empty: "No table or index of 1 MB or more has statistics to estimate from: run ANALYZE.",
    // Widths are those ANALYZE saw. Heap: 24 bytes a page, 28 a row with its pointer. B-tree: 8 + 4 a row, 90 % full.
    sql: () => /* sql */ `
      with width as (
        select n.oid as namespace, s.tablename, s.attname, (1 - s.null_frac) * s.avg_width as bytes
          from pg_catalog.pg_stats s join pg_catalog.pg_namespace n on n.nspname = s.schemaname
         where not s.inherited),
      block as (select current_setting('block_size')::float8 as size),
      sized as (
        select n.nspname || '.' || c.relname as object, 'table' as kind, ${pages("c")} as bytes,
               ceil(c.reltuples * (28 + 8 * ceil(sum(w.bytes) / 8))
                    / ((b.size - 24) * coalesce(${option("fillfactor")}, '100')::float8 / 100)) * b.size as needed
          from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace cross join block b
          join width w on w.namespace = c.relnamespace and w.tablename = c.relname
         where c.relkind in ('r', 'm') and c.relpages >= 128 and c.reltuples > 0 and ${ownSchemas}
         group by n.nspname, c.oid, c.relname, c.relpages, c.reltuples, c.reloptions, b.size
        union all
        select n.nspname || '.' || c.relname, 'index', ${pages("c")},
               ceil(c.reltuples * (12 + 8 * ceil(sum(w.bytes) / 8)) / ((b.size - 40) * 0.9)) * b.size
          from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
          join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
          join pg_catalog.pg_class t on t.oid = i.indrelid
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace cross join block b
          join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
          join width w on w.namespace = t.relnamespace and w.tablename = t.relname and w.attname = a.attname
         where c.relpages >= 128 and c.reltuples > 0 and i.indexprs is null and ${ownSchemas}
         group by n.nspname, c.oid, c.relname, c.relpages, c.reltuples, b.size)
      select object, kind, bytes as "sizeBytes", greatest(0, bytes - needed)::int8 as "wastedBytesEstimate",
             greatest(0, bytes - needed) / bytes as "wastedRatioEstimate"
        from sized order by 4 desc, 1 limit $1`,
  },
  {
    name: "indexes",
    aliases: ["index-stats", "index-sizes", "index-usage"],
    title: "Indexes",
    summary: "size and use of each index; never scanned, invalid and duplicate ones are marked",
    columns: [
      text("index", "Index"),
      text("table", "Table"),
      bytes("sizeBytes", "Size"),
      count("scans", "Scans"),
      count("rowsRead", "Rows read"),
      time("lastScan", "Last scan"),
      text("remark", "Remark"),
    ],
    empty: "There is no index in this database.",
    sql: ({ version }) => indexesSql(version, ""),
  },
  {
    name: "unused-indexes",
    title: "Unused indexes",
    summary: "indexes never scanned on this server that enforce nothing; ask every standby before dropping one",
    columns: [
      text("index", "Index"),
      text("table", "Table"),
      bytes("sizeBytes", "Size"),
      time("countedSince", "Counted since"),
      text("remark", "Remark"),
    ],
    empty: "Every index that enforces nothing was scanned.",
    sql: ({ version }) =>
      indexesSql(
        version,
        `and s.idx_scan = 0 and not i.indisunique
         and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid)`,
      ),
  },
  {
    name: "sequences",
    title: "Sequences",
    summary: "how much of its range each sequence has used, against the column it feeds",
    columns: [
      text("sequence", "Sequence"),
      text("column", "Feeds"),
      count("lastValue", "Last value"),
      count("limit", "Limit"),
      ratio("usedRatio", "Used"),
    ],
    empty: "No sequence was used.",
    sql: () => /* sql */ `
      select q.schemaname || '.' || q.sequencename as sequence, t.relname || '.' || a.attname as column,
             q.last_value as "lastValue", least(q.max_value, l.most)::int8 as "limit",
             q.last_value::float8 / least(q.max_value, l.most) as "usedRatio"
        from pg_catalog.pg_sequences q
        join pg_catalog.pg_namespace n on n.nspname = q.schemaname
        join pg_catalog.pg_class c on c.relname = q.sequencename and c.relnamespace = n.oid and c.relkind = 'S'
        left join pg_catalog.pg_depend d on d.objid = c.oid and d.classid = 'pg_class'::regclass
              and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
        left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        left join pg_catalog.pg_class t on t.oid = d.refobjid
        cross join lateral (select case a.atttypid when 'int2'::regtype then 32767
              when 'int4'::regtype then 2147483647 else 9223372036854775807 end as most) l
       where q.last_value is not null and not q.cycle
       order by 5 desc, 1 limit $1`,
  },
];

function indexesSql(version: number, where: string): string {
  const lastScan = version >= 16 ? "s.last_idx_scan" : "null::timestamptz";
  return /* sql */ `
    select s.schemaname || '.' || s.indexrelname as index, s.relname as table, ${pages("c")} as "sizeBytes",
           s.idx_scan as scans, s.idx_tup_read as "rowsRead", ${lastScan} as "lastScan",
           (select stats_reset from pg_catalog.pg_stat_database where datname = current_database()) as "countedSince",
           nullif(concat_ws(', ',
             case when not i.indisvalid then 'invalid' end,
             case when i.indisprimary then 'primary key' when i.indisunique then 'unique' end,
             case when s.idx_scan = 0 and not i.indisunique then 'never scanned' end,
             (select 'same as ' || min(o.indexrelid::regclass::text) from pg_catalog.pg_index o
               where o.indrelid = i.indrelid and o.indexrelid < i.indexrelid and o.indkey = i.indkey
                 and o.indclass = i.indclass and o.indcollation = i.indcollation and o.indoption = i.indoption
                 and coalesce(o.indexprs::text, '') = coalesce(i.indexprs::text, '')
                 and coalesce(o.indpred::text, '') = coalesce(i.indpred::text, ''))), '') as remark
      from pg_catalog.pg_stat_user_indexes s join pg_catalog.pg_index i on i.indexrelid = s.indexrelid
      join pg_catalog.pg_class c on c.oid = s.indexrelid
     where true ${where}
     order by c.relpages desc, 1 limit $1`;
}
