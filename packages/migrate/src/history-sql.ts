export const historyComment =
  "Schema migrations: one row per migration, newest state. Written by @db/migrate, format 1.";
export const journalComment = "Statements of the migrations in the history beside it, written as they run.";

export const columnsSql = /* sql */ `
  select array_agg(a.attname::text) as columns
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped`;

export const historyColumns = /* sql */ `(
  id                  text primary key,
  version             text not null,
  name                text not null,
  kind                text not null check (kind in ('versioned', 'repeatable')),
  state               text not null check (state in ('applied', 'running', 'failed', 'reverted')),
  source              text not null check (source ~ '^[a-z-]+$'),
  sequence            integer not null,
  started_at          timestamptz,
  finished_at         timestamptz,
  duration_ms         double precision,
  statements          integer not null,
  statements_done     integer not null,
  transactional       boolean not null,
  applied_by          text not null,
  tool_version        text not null,
  run_id              text not null,
  checksum            text not null,
  chain               text,
  error               text,
  down_sql            text,
  catalog_fingerprint text
)`;

export const journalColumns = (history: string): string => /* sql */ `(
  migration_id text not null references ${history} on delete cascade on update cascade,
  direction    text not null check (direction in ('up', 'down')),
  position     integer not null,
  kind         text not null,
  line         integer not null,
  state        text not null check (state in ('running', 'done', 'failed')),
  started_at   timestamptz not null default clock_timestamp(),
  duration_ms  double precision,
  rows         bigint,
  hash         text not null,
  run_id       text not null,
  error        text,
  primary key (migration_id, direction, position)
)`;

export const existsSql = /* sql */ `
  select exists (select from pg_catalog.pg_class
                  where relname = $2
                    and relnamespace = (select oid from pg_catalog.pg_namespace where nspname = $1)) as "exists"`;

// Rows in the order of `compareMigrations` when nothing was applied out of order.
export const digestSql = (history: string): string => /* sql */ `
  select encode(sha256(convert_to(coalesce(string_agg(json_build_array(id, kind, state, checksum, chain)::text, e'\\n'
           order by kind = 'repeatable', case kind when 'versioned' then sequence end, id collate "C"), ''), 'UTF8')), 'hex')
           as digest
    from ${history}`;

export const doneSql = (journal: string): string => /* sql */ `
  select migration_id as id, count(*)::int as done
    from ${journal} where direction = 'up' and state = 'done' and migration_id = any ($1) group by 1`;

export const historySelect = (history: string): string => /* sql */ `
  select id, version, name, kind, state, source, checksum, chain, sequence, transactional, statements,
         statements_done as "statementsDone", (extract(epoch from started_at) * 1000)::float8 as "startedAt",
         (extract(epoch from finished_at) * 1000)::float8 as "finishedAt", duration_ms as "durationMs",
         applied_by as "appliedBy", run_id as "runId", tool_version as "toolVersion", error, down_sql as "downSql",
         catalog_fingerprint as "catalogFingerprint"
    from ${history} order by sequence`;

export const answerSql = /* sql */ `
  returning pg_backend_pid() as pid, h.sequence, h.duration_ms as ms,
            set_config('db_migrate.at', clock_timestamp()::text, false) as at`;

// The place in the order is kept when a row is only corrected, and taken anew when a migration runs again.
const nextSequence = (history: string): string => `(select coalesce(max(sequence), 0) + 1 from ${history})`;

export const insertSql = (history: string, values: readonly string[], sequence: string): string => /* sql */ `
  insert into ${history} as h (id, version, name, kind, state, source, checksum, chain, transactional, statements,
         statements_done, started_at, finished_at, duration_ms, applied_by, run_id, tool_version, error, down_sql,
         catalog_fingerprint, sequence)
  values (${values.slice(0, 11).join(", ")}, coalesce(${values[11]}::timestamptz, clock_timestamp()),
          coalesce(${values[12]}::timestamptz, clock_timestamp()), ${values[13]}, coalesce(${values[14]}, session_user),
          ${values.slice(15).join(", ")}, ${sequence})`;

export const upsertSql = (
  history: string,
  values: readonly string[],
  sequence: string = nextSequence(history),
): string => /* sql */ `${insertSql(history, values, sequence)}
  on conflict (id) do update
     set version = excluded.version, name = excluded.name, kind = excluded.kind, state = excluded.state,
         source = excluded.source, checksum = excluded.checksum, chain = excluded.chain,
         transactional = excluded.transactional, statements = excluded.statements,
         statements_done = excluded.statements_done, started_at = excluded.started_at,
         finished_at = excluded.finished_at, duration_ms = excluded.duration_ms, applied_by = excluded.applied_by,
         run_id = excluded.run_id, tool_version = excluded.tool_version, error = excluded.error,
         down_sql = excluded.down_sql, catalog_fingerprint = excluded.catalog_fingerprint,
         sequence = case when h.run_id = excluded.run_id then h.sequence else excluded.sequence end${answerSql}`;

export const journalUpsertSql = (journal: string, fence: string): string => /* sql */ `
  insert into ${journal} (migration_id, direction, position, kind, line, state, duration_ms, rows, hash, run_id, error)
  select migration, direction, position, kind, line, case when ${fence} then state end, "durationMs", rows, hash, "runId", error
    from json_to_recordset($1::json) as r (migration text, direction text, position int, kind text, line int, state text,
         "durationMs" float8, rows bigint, hash text, "runId" text, error text)
  on conflict (migration_id, direction, position) do update
     set kind = excluded.kind, line = excluded.line, state = excluded.state, duration_ms = excluded.duration_ms,
         rows = excluded.rows, hash = excluded.hash, run_id = excluded.run_id, error = excluded.error,
         started_at = excluded.started_at`;
