import { messageOf, type Queryable, sqlStateOf } from "@db/core";
import { type Partition, readPartitions } from "./partition.ts";
import type {
  ColumnFacts,
  ForeignKeyFacts,
  IndexFacts,
  IndexKeyFacts,
  IndexSnapshot,
  TableFacts,
  WorkloadStatement,
} from "./snapshot.ts";

const serverSql = /* sql */ `
  select current_setting('server_version_num')::int             as "serverVersion",
         pg_catalog.pg_is_in_recovery()                          as "inRecovery",
         (select count(*)::int from pg_catalog.pg_stat_replication where state = 'streaming') as replicas,
         d.stats_reset                                           as since,
         pg_catalog.pg_postmaster_start_time()                   as started,
         (extract(epoch from now() - coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time())) * 1000)::float8
                                                                 as "ageMs",
         pg_catalog.current_setting('default_text_search_config') as "textSearchConfig",
         array(select extname::text from pg_catalog.pg_extension order by 1)            as installed,
         array(select name::text from pg_catalog.pg_available_extensions order by 1)    as available
    from pg_catalog.pg_stat_database d
   where d.datname = current_database()`;

const userRelation = /* sql */ `
         n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and c.relpersistence <> 't'
     and not exists (select from pg_catalog.pg_depend x
                      where x.classid = 'pg_catalog.pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')`;

// A table never analysed has reltuples -1 (14) or 0 (before) and still has pages: the planner then guesses from
// the width of a row, and so does the estimate of 100 bytes a row here.
const tablesSql = /* sql */ `
  select c.oid::text as id,
         n.nspname   as schema,
         c.relname   as name,
         case when c.relkind = 'm' then 'materialized-view'
              when c.relkind = 'p' then 'partitioned'
              when c.relispartition then 'partition'
              else 'table' end as kind,
         pg_catalog.pg_table_is_visible(c.oid) as visible,
         (case when c.relkind = 'p'
               then (select coalesce(sum(greatest(l.reltuples, 0)), 0)
                       from pg_catalog.pg_partition_tree(c.oid) t join pg_catalog.pg_class l on l.oid = t.relid
                      where t.isleaf)
               when c.reltuples > 0 then c.reltuples
               else pg_catalog.pg_relation_size(c.oid) / 100 end)::float8 as rows,
         (case when c.relkind = 'p'
               then (select coalesce(sum(pg_catalog.pg_relation_size(t.relid)), 0)
                       from pg_catalog.pg_partition_tree(c.oid) t where t.isleaf)
               else pg_catalog.pg_relation_size(c.oid) end)::float8 as bytes,
         coalesce(s.seq_scan, 0)::float8     as "sequentialScans",
         coalesce(s.seq_tup_read, 0)::float8 as "sequentialRows",
         coalesce(s.idx_scan, 0)::float8     as "indexScans",
         coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)::float8 as writes
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stat_user_tables s on s.relid = c.oid
   where c.relkind in ('r', 'p', 'm') and ${userRelation}
   order by n.nspname, c.relname`;

const columnsSql = /* sql */ `
  select a.attrelid::text                                 as id,
         a.attname                                        as name,
         pg_catalog.format_type(a.atttypid, null)         as type,
         t.typcategory::text                              as category,
         a.attnotnull                                     as "notNull",
         s.n_distinct::float8                             as "nDistinct",
         s.null_frac::float8                              as "nullFraction",
         s.correlation::float8                            as correlation,
         s.avg_width::float8                              as "averageWidth",
         case when a.atttypid = 'bool'::regtype
              then (s.most_common_freqs::float8[])[pg_catalog.array_position(s.most_common_vals::text::text[], 't')]
              end                                         as "trueFraction"
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stats s
      on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
     and s.inherited = (c.relkind = 'p')
   where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
   order by a.attrelid, a.attnum`;

// Oldest first. indnullsnotdistinct exists since 15, last_idx_scan since 16; through to_jsonb one text runs everywhere.
const indexesSql = /* sql */ `
  select n.nspname       as schema,
         c.relname       as name,
         tn.nspname      as "tableSchema",
         tc.relname      as table,
         am.amname       as method,
         i.indisunique   as unique,
         coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as "nullsNotDistinct",
         i.indisprimary  as primary,
         i.indisvalid and i.indisready as valid,
         i.indisreplident as "replicaIdentity",
         i.indisclustered as clustered,
         c.relispartition as partition,
         (select k.conname from pg_catalog.pg_constraint k where k.conindid = i.indexrelid limit 1) as constraint,
         pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) as "where",
         pg_catalog.pg_relation_size(i.indexrelid)::float8 as bytes,
         coalesce(s.idx_scan, 0)::float8 as scans,
         to_jsonb(s) ->> 'last_idx_scan'  as "lastScan",
         pg_catalog.pg_get_indexdef(i.indexrelid) as ddl,
         (select jsonb_agg(jsonb_build_object(
                   'column',         a.attname,
                   'expression',     case when i.indkey[g.k - 1] = 0
                                          then pg_catalog.pg_get_indexdef(i.indexrelid, g.k, true) end,
                   'opclass',        oc.opcname,
                   'defaultOpclass', oc.opcdefault,
                   'collation',      co.collname,
                   'descending',     (i.indoption[g.k - 1] & 1) = 1,
                   'nullsFirst',     (i.indoption[g.k - 1] & 2) = 2) order by g.k)
            from generate_series(1, i.indnkeyatts) g (k)
            left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[g.k - 1]
                                               and i.indkey[g.k - 1] <> 0
            left join pg_catalog.pg_opclass oc on oc.oid = i.indclass[g.k - 1]
            left join pg_catalog.pg_collation co on co.oid = i.indcollation[g.k - 1]) as keys,
         (select coalesce(jsonb_agg(a.attname order by g.k), '[]'::jsonb)
            from generate_series(i.indnkeyatts + 1, i.indnatts) g (k)
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[g.k - 1]) as include
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class tc on tc.oid = i.indrelid
    join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace
    join pg_catalog.pg_am am on am.oid = c.relam
    left join pg_catalog.pg_stat_user_indexes s on s.indexrelid = i.indexrelid
   where ${userRelation}
   order by i.indexrelid`;

const foreignKeysSql = /* sql */ `
  select n.nspname as schema, c.relname as table, k.conname as name,
         fn.nspname as "referencesSchema", fc.relname as "referencesTable",
         (select array_agg(a.attname::text order by x.position)
            from unnest(k.conkey) with ordinality as x (attnum, position)
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum) as columns
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class fc on fc.oid = k.confrelid
    join pg_catalog.pg_namespace fn on fn.oid = fc.relnamespace
   where k.contype = 'f' and k.conparentid = 0 and ${userRelation}
   order by n.nspname, c.relname, k.conname`;

const scansSql = /* sql */ `
  select schemaname as schema, indexrelname as name, idx_scan::float8 as scans from pg_catalog.pg_stat_user_indexes`;

// total_time became total_exec_time in 13 (extension version 1.8). Comments often stand in front of a statement.
const statementsSql = (timeColumn: string, view: string): string => /* sql */ `
  select s.queryid::text as id, s.query as text,
         sum(s.calls)::float8 as calls, sum(s.${timeColumn})::float8 as "totalMs"
    from ${view} s
   where s.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
     and s.queryid is not null
     and s.query ~* '^[\\s(]*(--[^\\n]*\\n\\s*|/[*].*?[*]/\\s*)*(select|with|insert|update|delete|values)\\M'
   group by s.queryid, s.query
   order by 4 desc
   limit $1::bigint`;

type TableRow = Omit<TableFacts, "columns" | "pages" | "partitions"> & { id: string };
type ColumnRow = Omit<ColumnFacts, "distinct"> & { id: string; nDistinct: number | null };
type IndexRow = Omit<IndexFacts, "keys" | "include"> & {
  tableSchema: string;
  keys: IndexKeyFacts[];
  include: string[];
};
type ServerRow = {
  serverVersion: number;
  inRecovery: boolean;
  replicas: number;
  since: Date | string | null;
  started: Date | string;
  ageMs: number;
  textSearchConfig: string;
  installed: string[];
  available: string[];
};

/** What to collect. */
export interface CollectOptions {
  /** Statements to analyse instead of those the server has recorded. */
  readonly workload?: readonly WorkloadStatement[];
  /** Most statements read from pg_stat_statements, the costliest first. */
  readonly maxStatements: number;
  /** Standbys whose scans count too. */
  readonly replicas: readonly Queryable[];
}

/** Reads what the analysis needs: catalog, sizes, use, statistics, statements. Reads only, and no table. */
export async function collectIndexSnapshot(db: Queryable, options: CollectOptions): Promise<IndexSnapshot> {
  const server = (await db.query<ServerRow>(serverSql)).rows[0]!;
  const tableRows = (await db.query<TableRow>(tablesSql)).rows;
  const ids = `{${tableRows.map((row) => row.id).join(",")}}`;
  const columnRows = (await db.query<ColumnRow>(columnsSql, [ids])).rows;
  const indexes = (await db.query<IndexRow>(indexesSql)).rows;
  const foreignKeys = (await db.query<ForeignKeyFacts>(foreignKeysSql)).rows;
  const scans = new Map<string, number>();
  for (const replica of options.replicas) {
    for (const row of (await replica.query<{ schema: string; name: string; scans: number }>(scansSql)).rows) {
      const key = `${row.schema}.${row.name}`;
      scans.set(key, (scans.get(key) ?? 0) + row.scans);
    }
  }
  const columns = Map.groupBy(columnRows, (row) => row.id);
  const partitions = new Map<string, readonly Partition[]>();
  for (const row of tableRows.filter((row) => row.kind === "partitioned")) {
    partitions.set(row.id, await readPartitions(db, row.schema, row.name));
  }
  return {
    serverVersion: server.serverVersion,
    inRecovery: server.inRecovery,
    replicas: server.replicas,
    replicasAsked: options.replicas.length,
    statisticsSince: new Date(server.since ?? server.started).toISOString(),
    statisticsAgeMs: server.ageMs,
    textSearchConfig: server.textSearchConfig,
    installed: server.installed,
    available: server.available,
    tables: tableRows.map((row) => tableFacts(row, columns.get(row.id) ?? [], partitions.get(row.id) ?? null)),
    indexes: indexes.map((row) => indexFacts(row, scans.get(`${row.schema}.${row.name}`) ?? 0)),
    foreignKeys,
    workload: await collectWorkload(db, server.serverVersion, options),
  };
}

async function collectWorkload(
  db: Queryable,
  serverVersion: number,
  { workload, maxStatements }: CollectOptions,
): Promise<IndexSnapshot["workload"]> {
  if (workload !== undefined) return { source: "given", reason: null, statements: workload };
  // The extension may live in any schema, and its view may be out of this role's reach.
  const place = await db.query<{ view: string }>(
    `select quote_ident(n.nspname) || '.pg_stat_statements' as view
       from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'pg_stat_statements'`,
  );
  const view = place.rows[0]?.view;
  if (view === undefined) {
    return { source: "none", reason: "the extension pg_stat_statements is not installed here", statements: [] };
  }
  await db.query("savepoint workload");
  try {
    const timeColumn = serverVersion >= 130_000 ? "total_exec_time" : "total_time";
    const { rows } = await db.query<WorkloadStatement>(statementsSql(timeColumn, view), [maxStatements]);
    await db.query("release savepoint workload");
    // Without pg_read_all_stats the text of other roles' statements is hidden.
    const readable = rows.filter((row) => row.text !== "<insufficient privilege>");
    const reason = readable.length < rows.length ? "statements of other roles are hidden from this role" : null;
    return { source: "pg_stat_statements", reason, statements: readable };
  } catch (error) {
    await db.query("rollback to savepoint workload");
    if (sqlStateOf(error) === undefined) throw error;
    return { source: "none", reason: messageOf(error), statements: [] };
  }
}

function tableFacts(
  { id: _id, ...row }: TableRow,
  columns: readonly ColumnRow[],
  partitions: readonly Partition[] | null,
): TableFacts {
  const facts = columns.map((column) => columnFacts(column, row.rows));
  return { ...row, pages: Math.ceil(row.bytes / 8192), columns: facts, partitions };
}

function columnFacts({ id: _id, nDistinct, ...column }: ColumnRow, rows: number): ColumnFacts {
  // Negative: a share of the rows, for columns whose distinct values grow with the table.
  const distinct = nDistinct === null || nDistinct === 0 ? null : nDistinct < 0 ? -nDistinct * rows : nDistinct;
  return { ...column, distinct: distinct === null ? null : Math.max(1, Math.round(distinct)) };
}

function indexFacts({ tableSchema: _schema, ...row }: IndexRow, replicaScans: number): IndexFacts {
  const lastScan = row.lastScan === null ? null : new Date(row.lastScan).toISOString();
  return { ...row, keys: row.keys ?? [], scans: row.scans + replicaScans, lastScan };
}
