import { bytes, code, count, flag, type Inspection, milliseconds, ratio, seconds, text, time } from "./inspection.ts";

const blockBytes = "current_setting('block_size')::int8";

/** What is known of the whole server. */
export const serverInspections: readonly Inspection[] = [
  {
    name: "queries",
    aliases: ["outliers", "calls"],
    title: "Queries",
    summary: "statements by their share of all time, from pg_stat_statements",
    statements: true,
    columns: [
      text("queryId", "Query id"),
      ratio("shareRatio", "Share"),
      milliseconds("totalMs", "Total"),
      milliseconds("meanMs", "Mean"),
      count("calls", "Calls"),
      count("rows", "Rows"),
      ratio("cacheHitRatio", "From cache"),
      bytes("tempBytes", "Temp. files"),
      text("user", "User"),
      text("database", "Database"),
      code("query", "Statement"),
    ],
    empty: "No statement has run yet.",
    sql: ({ version, statements }) => {
      const total = version >= 13 ? "total_exec_time" : "total_time";
      return /* sql */ `
        select s.queryid::text as "queryId", s.${total} / nullif(sum(s.${total}) over (), 0) as "shareRatio",
               s.${total} as "totalMs", s.${total} / nullif(s.calls, 0) as "meanMs", s.calls, s.rows,
               s.shared_blks_hit::float8 / nullif(s.shared_blks_hit + s.shared_blks_read, 0) as "cacheHitRatio",
               s.temp_blks_written * ${blockBytes} as "tempBytes", pg_catalog.pg_get_userbyid(s.userid) as "user",
               d.datname as database, left(s.query, 2000) as query
          from ${statements} s left join pg_catalog.pg_database d on d.oid = s.dbid
         where s.query not like '%/* db-monitor */%'
         order by s.${total} desc limit $1`;
    },
  },
  {
    name: "databases",
    title: "Databases",
    summary: "size, traffic and age of each database",
    columns: [
      text("database", "Database"),
      bytes("sizeBytes", "Size"),
      count("connections", "Connections"),
      count("commits", "Commits"),
      count("rollbacks", "Rollbacks"),
      ratio("cacheHitRatio", "From cache"),
      bytes("tempBytes", "Temp. files"),
      count("deadlocks", "Deadlocks"),
      count("xidAge", "Xid age"),
      time("countedSince", "Counted since"),
    ],
    empty: "No database was seen.",
    sql: () => /* sql */ `
      select d.datname as database,
             case when has_database_privilege(d.oid, 'connect') then pg_catalog.pg_database_size(d.oid) end as "sizeBytes",
             s.numbackends as connections, s.xact_commit as commits, s.xact_rollback as rollbacks,
             s.blks_hit::float8 / nullif(s.blks_hit + s.blks_read, 0) as "cacheHitRatio", s.temp_bytes as "tempBytes",
             s.deadlocks, age(d.datfrozenxid)::int8 as "xidAge", s.stats_reset as "countedSince"
        from pg_catalog.pg_database d join pg_catalog.pg_stat_database s on s.datid = d.oid
       where not d.datistemplate order by 2 desc nulls last, 1 limit $1`,
  },
  {
    name: "cache",
    aliases: ["cache-hit"],
    title: "Reads past the cache",
    summary: "which tables read most from outside shared buffers",
    columns: [
      text("table", "Table"),
      bytes("readBytes", "Read"),
      bytes("hitBytes", "From shared buffers"),
      ratio("hitRatio", "From cache"),
    ],
    empty: "No table was read.",
    sql: () => /* sql */ `
      select schemaname || '.' || relname as table, read * ${blockBytes} as "readBytes", hit * ${blockBytes} as "hitBytes",
             hit::float8 / nullif(hit + read, 0) as "hitRatio"
        from (select schemaname, relname,
                     coalesce(heap_blks_read, 0) + coalesce(idx_blks_read, 0) + coalesce(toast_blks_read, 0) as read,
                     coalesce(heap_blks_hit, 0) + coalesce(idx_blks_hit, 0) + coalesce(toast_blks_hit, 0) as hit
                from pg_catalog.pg_statio_user_tables) io
       where hit + read > 0 order by read desc, 1 limit $1`,
  },
  {
    name: "io",
    title: "I/O by who did it",
    summary: "reads, writes and extensions by backend type and reason, from pg_stat_io",
    since: 16,
    columns: [
      text("backendType", "Backend"),
      text("object", "Object"),
      text("context", "Context"),
      bytes("readBytes", "Read"),
      bytes("writtenBytes", "Written"),
      bytes("extendedBytes", "Extended"),
      count("hits", "Hits"),
      count("evictions", "Evictions"),
      milliseconds("readMs", "Read time"),
      milliseconds("writeMs", "Write time"),
    ],
    empty: "No I/O was counted.",
    sql: ({ version }) => {
      const size = (operation: string): string =>
        version >= 18 ? `${operation}_bytes::int8` : `${operation}s * op_bytes`;
      return /* sql */ `
        select backend_type as "backendType", object, context, ${size("read")} as "readBytes",
               ${size("write")} as "writtenBytes", ${size("extend")} as "extendedBytes", hits, evictions,
               read_time as "readMs", write_time as "writeMs"
          from pg_catalog.pg_stat_io
         where coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0) + coalesce(hits, 0) > 0
         order by coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0) desc, 1, 2, 3 limit $1`;
    },
  },
  {
    name: "wal",
    title: "WAL and checkpoints",
    summary: "what is written ahead, archived and checkpointed",
    columns: [text("measure", "Measure"), text("value", "Value")],
    empty: "Nothing is known.",
    sql: ({ version }) => {
      const rows = [
        "select 1 as n, 'archived files' as measure, archived_count::text as value from pg_catalog.pg_stat_archiver",
        "select 2, 'failed archivings', failed_count::text from pg_catalog.pg_stat_archiver",
        "select 3, 'last archived', to_char(last_archived_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') from pg_catalog.pg_stat_archiver",
        ...(version >= 14
          ? [
              "select 4, 'WAL written, bytes', wal_bytes::text from pg_catalog.pg_stat_wal",
              "select 5, 'full page images', wal_fpi::text from pg_catalog.pg_stat_wal",
            ]
          : []),
        ...(version >= 17
          ? [
              "select 6, 'checkpoints by time', num_timed::text from pg_catalog.pg_stat_checkpointer",
              "select 7, 'checkpoints on demand', num_requested::text from pg_catalog.pg_stat_checkpointer",
            ]
          : [
              "select 6, 'checkpoints by time', checkpoints_timed::text from pg_catalog.pg_stat_bgwriter",
              "select 7, 'checkpoints on demand', checkpoints_req::text from pg_catalog.pg_stat_bgwriter",
            ]),
        "select 8, 'max_wal_size', current_setting('max_wal_size')",
        "select 9, 'checkpoint_timeout', current_setting('checkpoint_timeout')",
      ];
      return `select measure, value from (${rows.join(" union all ")}) w where value is not null order by n limit $1`;
    },
  },
  {
    name: "replication",
    title: "Replication",
    summary: "standbys as the server that feeds them sees them",
    columns: [
      text("standby", "Standby"),
      text("state", "State"),
      text("sync", "Synchronous"),
      bytes("lagBytes", "Behind"),
      seconds("replayLagSeconds", "Replay lag"),
      seconds("flushLagSeconds", "Flush lag"),
      time("connectedAt", "Connected"),
    ],
    empty: "No standby is connected.",
    sql: () => /* sql */ `
      select application_name as standby, state, sync_state as sync,
             pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn()
               else pg_catalog.pg_current_wal_lsn() end, replay_lsn)::int8 as "lagBytes",
             extract(epoch from replay_lag)::float8 as "replayLagSeconds",
             extract(epoch from flush_lag)::float8 as "flushLagSeconds", backend_start as "connectedAt"
        from pg_catalog.pg_stat_replication order by 4 desc nulls last, 1 limit $1`,
  },
  {
    name: "slots",
    aliases: ["replication-slots"],
    title: "Replication slots",
    summary: "what each slot retains, and whether anybody reads it",
    columns: [
      text("slot", "Slot"),
      text("type", "Type"),
      flag("active", "Active"),
      bytes("retainedBytes", "Retains"),
      text("walStatus", "WAL status"),
      bytes("safeBytes", "Safe for"),
      time("inactiveSince", "Inactive since"),
    ],
    empty: "There is no replication slot.",
    sql: ({ version }) => /* sql */ `
      select slot_name::text as slot, slot_type as type, active,
             pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn()
               else pg_catalog.pg_current_wal_lsn() end, restart_lsn)::int8 as "retainedBytes",
             ${version >= 13 ? "wal_status" : "null"} as "walStatus", ${version >= 13 ? "safe_wal_size" : "null"} as "safeBytes",
             ${version >= 17 ? "inactive_since" : "null"} as "inactiveSince"
        from pg_catalog.pg_replication_slots order by 4 desc nulls last, 1 limit $1`,
  },
  {
    name: "settings",
    title: "Settings",
    summary: "what differs from PostgreSQL's defaults, and where it was set",
    columns: [
      text("setting", "Setting"),
      text("value", "Value"),
      text("default", "Default"),
      text("source", "Set by"),
      flag("pendingRestart", "Awaits restart"),
    ],
    empty: "Every setting has its default.",
    sql: () => /* sql */ `
      select name as setting,
             case when name in ('primary_conninfo', 'ssl_passphrase_command') then '<hidden>'
                  when setting in ('on', 'off') then setting else current_setting(name) end as value,
             boot_val || coalesce(' ' || unit, '') as default, source, pending_restart as "pendingRestart"
        from pg_catalog.pg_settings
       where pending_restart or (source not in ('default', 'override', 'session', 'client') and setting is distinct from boot_val)
       order by pending_restart desc, 1 limit $1`,
  },
  {
    name: "roles",
    aliases: ["role-stats"],
    title: "Roles",
    summary: "who may log in, with which rights, and how many connections they have",
    columns: [
      text("role", "Role"),
      flag("superuser", "Superuser"),
      flag("replication", "Replication"),
      count("connections", "Connections"),
      count("connectionLimit", "Limit"),
      time("passwordUntil", "Password until"),
    ],
    empty: "No role may log in.",
    sql: () => /* sql */ `
      select r.rolname as role, r.rolsuper as superuser, r.rolreplication as replication,
             (select count(*) from pg_catalog.pg_stat_activity a where a.usesysid = r.oid) as connections,
             nullif(r.rolconnlimit, -1) as "connectionLimit",
             case when isfinite(r.rolvaliduntil) then r.rolvaliduntil end as "passwordUntil"
        from pg_catalog.pg_roles r where r.rolcanlogin order by 4 desc, 1 limit $1`,
  },
];
