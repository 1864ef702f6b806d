import { code, count, id, type Inspection, ratio, seconds, text, time } from "./inspection.ts";

const since = (column: string): string => `extract(epoch from clock_timestamp() - ${column})::float8`;
const wait = `nullif(concat_ws(':', a.wait_event_type, a.wait_event), '')`;

const session = /* sql */ `
  a.pid, a.datname as database, a.usename as "user", a.application_name as application, a.state,
  ${wait} as wait, ${since("a.xact_start")} as "transactionSeconds", ${since("a.query_start")} as "querySeconds",
  ${since("a.state_change")} as "stateSeconds", 
  to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "backendStart", left(a.query, 2000) as query`;

const sessionColumns = [
  text("database", "Database"),
  text("user", "User"),
  text("application", "Application"),
  text("state", "State"),
  text("wait", "Waits for"),
  seconds("transactionSeconds", "Transaction"),
  seconds("querySeconds", "Statement"),
] as const;

const clients = "a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()";

// The wait of a lock is known since 14; before, the statement's start is an upper bound.
const waited = (version: number): string =>
  version >= 14
    ? since(
        "coalesce((select min(l.waitstart) from pg_catalog.pg_locks l where l.pid = a.pid and not l.granted), a.query_start)",
      )
    : since("a.query_start");

/** What sessions do and whom they wait for. */
export const activityInspections: readonly Inspection[] = [
  {
    name: "blocking",
    title: "Who blocks whom",
    summary: "sessions that wait for a lock, and those that hold them up",
    columns: [
      id("pid", "Pid"),
      text("blockedBy", "Blocked by"),
      seconds("waitSeconds", "Waited"),
      text("awaits", "Awaits"),
      ...sessionColumns,
      time("backendStart", "Connected"),
      code("query", "Statement"),
    ],
    empty: "Nobody waits for a lock.",
    // pg_blocking_pids() holds up the lock manager: it is asked for at most 100 sessions.
    sql: ({ version }) => /* sql */ `
      with waiting as (
        select a.pid, pg_catalog.pg_blocking_pids(a.pid) as blockers, ${waited(version)} as wait_s
          from pg_catalog.pg_stat_activity a where a.wait_event_type = 'Lock' limit 100)
      select ${session}, nullif(array_to_string(w.blockers, ','), '') as "blockedBy", w.wait_s as "waitSeconds",
             (select string_agg(distinct l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype), ', ')
                from pg_catalog.pg_locks l where l.pid = a.pid and not l.granted) as awaits
        from pg_catalog.pg_stat_activity a left join waiting w on w.pid = a.pid
       where a.pid in (select pid from waiting union all select unnest(blockers) from waiting)
       order by w.wait_s desc nulls first limit $1`,
  },
  {
    name: "locks",
    title: "Locks",
    summary: "locks on tables and those waited for, longest wait first",
    columns: [
      id("pid", "Pid"),
      text("object", "Object"),
      text("mode", "Mode"),
      text("granted", "Granted"),
      ...sessionColumns.slice(1, 4),
      seconds("waitSeconds", "Waited"),
      seconds("transactionSeconds", "Transaction"),
      code("query", "Statement"),
    ],
    empty: "No session holds a lock on a table.",
    sql: ({ version }) => /* sql */ `
      select ${session}, k.mode, case when k.granted then 'yes' else 'waiting' end as granted,
             case when k.granted then null else ${waited(version)} end as "waitSeconds",
             coalesce(k.relation::regclass::text, k.locktype) as object
        from pg_catalog.pg_locks k join pg_catalog.pg_stat_activity a on a.pid = k.pid
       where a.pid <> pg_catalog.pg_backend_pid() and (not k.granted or k.locktype in ('relation', 'advisory'))
         and (k.database is null or k.database = (select oid from pg_catalog.pg_database where datname = current_database()))
         and (k.relation is null or k.relation >= 16384)
       order by k.granted, "waitSeconds" desc nulls last, a.xact_start, k.pid, object limit $1`,
  },
  {
    name: "sessions",
    title: "Sessions",
    summary: "every client session, the oldest transaction first",
    columns: [
      id("pid", "Pid"),
      ...sessionColumns,
      seconds("stateSeconds", "In state"),
      time("backendStart", "Connected"),
      code("query", "Statement"),
    ],
    empty: "No client is connected.",
    sql: () => /* sql */ `
      select ${session} from pg_catalog.pg_stat_activity a where ${clients}
       order by a.xact_start nulls last, a.state_change limit $1`,
  },
  {
    name: "long",
    aliases: ["long-running-queries"],
    title: "Longest statements",
    summary: "what has been running longest",
    columns: [
      id("pid", "Pid"),
      seconds("querySeconds", "Runs for"),
      ...sessionColumns.slice(0, 5),
      code("query", "Statement"),
    ],
    empty: "No statement is running.",
    sql: () => /* sql */ `
      select ${session} from pg_catalog.pg_stat_activity a where ${clients} and a.state = 'active'
       order by a.query_start limit $1`,
  },
  {
    name: "connections",
    aliases: ["role-connections"],
    title: "Connections",
    summary: "how many connections by database, role, application and state",
    columns: [
      text("database", "Database"),
      text("user", "User"),
      text("application", "Application"),
      text("state", "State"),
      count("connections", "Connections"),
      seconds("oldestSeconds", "Oldest"),
    ],
    empty: "No client is connected.",
    sql: () => /* sql */ `
      select a.datname as database, a.usename as "user", a.application_name as application, a.state,
             count(*) as connections, max(${since("a.backend_start")}) as "oldestSeconds"
        from pg_catalog.pg_stat_activity a where ${clients}
       group by 1, 2, 3, 4 order by 5 desc, 1, 2, 3, 4 limit $1`,
  },
  {
    name: "waits",
    title: "Waits",
    summary: "what active sessions wait for at this moment",
    columns: [text("wait", "Waits for"), count("sessions", "Sessions"), seconds("longestSeconds", "Longest statement")],
    empty: "No session is active.",
    sql: () => /* sql */ `
      select coalesce(${wait}, 'CPU') as wait, count(*) as sessions, max(${since("a.query_start")}) as "longestSeconds"
        from pg_catalog.pg_stat_activity a where ${clients} and a.state = 'active'
       group by 1 order by 2 desc, 1 limit $1`,
  },
  {
    name: "xmin",
    title: "What holds VACUUM back",
    summary: "sessions, slots, standbys and prepared transactions that keep old row versions",
    columns: [text("holder", "Holder"), text("who", "Who"), count("transactions", "Transactions since")],
    empty: "Nothing keeps old row versions.",
    sql: () => /* sql */ `
      select * from (
        select 'activity' as holder, a.pid::text as who,
               greatest(age(a.backend_xmin), age(a.backend_xid))::int8 as transactions
          from pg_catalog.pg_stat_activity a
         where a.pid <> pg_catalog.pg_backend_pid() and (a.backend_xmin is not null or a.backend_xid is not null)
        union all
        select 'slot', slot_name::text, greatest(age(xmin), age(catalog_xmin))::int8 from pg_catalog.pg_replication_slots
         where xmin is not null or catalog_xmin is not null
        union all
        select 'standby', application_name, age(backend_xmin)::int8 from pg_catalog.pg_stat_replication
         where backend_xmin is not null
        union all
        select 'prepared', gid, age(transaction)::int8 from pg_catalog.pg_prepared_xacts) held
       order by transactions desc limit $1`,
  },
  {
    name: "progress",
    title: "Long jobs of the server",
    summary: "VACUUM, index builds, ANALYZE, CLUSTER, COPY and base backups under way",
    columns: [
      id("pid", "Pid"),
      text("job", "Job"),
      text("object", "Object"),
      text("phase", "Phase"),
      ratio("doneRatio", "Done"),
    ],
    empty: "No such job is running.",
    sql: ({ version }) => {
      const job = (name: string, object: string, phase: string, done: string, total: string): string =>
        `select pid, '${name.replaceAll("_", " ")}' as job, ${object} as object, ${phase} as phase,
                ${done}::float8 / nullif(${total}, 0) as "doneRatio" from pg_catalog.pg_stat_progress_${name}`;
      const relation = "relid::regclass::text";
      return `select * from (${[
        job("vacuum", relation, "phase", "heap_blks_scanned", "heap_blks_total"),
        job("create_index", relation, "phase", "blocks_done", "blocks_total"),
        job("cluster", relation, "phase", "heap_blks_scanned", "heap_blks_total"),
        ...(version >= 13
          ? [
              job("analyze", relation, "phase", "sample_blks_scanned", "sample_blks_total"),
              job("basebackup", "null", "phase", "backup_streamed", "backup_total"),
            ]
          : []),
        ...(version >= 14 ? [job("copy", relation, "type", "bytes_processed", "bytes_total")] : []),
      ].join(" union all ")}) jobs order by pid limit $1`;
    },
  },
];
