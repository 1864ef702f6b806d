import type { Queryable } from "@db/core";
import { type Collector, defineMetrics, gauge, readView, toNumber, toText } from "../collector.ts";
import type { BlockingFact, SessionFact } from "../facts.ts";
import { redactSql } from "../redact.ts";

// Maintenance is long by nature, and a comment lets anybody say that a statement is meant to be long.
const ordinaryStatement = String.raw`query !~* '^\s*(vacuum|analyze|reindex|cluster|copy|create\s+(unique\s+)?index)'
      and query !~ '/\*\s*no-alert\s*\*/'`;

const counts = {
  labels: {
    datname: "datname",
    state: "state",
    backend_type: "backend_type",
    wait_event_type: "wait_event_type",
  },
  from: "pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid() group by 1, 2, 3, 4",
  columns: [
    gauge("pg_stat_activity_count", "count(*)", "Sessions in this state"),
    gauge(
      "pg_stat_activity_max_tx_duration",
      "coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)",
      "Longest time in seconds any transaction in this state has been open",
    ),
  ],
} as const;

const peaks = {
  labels: {},
  from: "pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid()",
  columns: [
    gauge(
      "pg_stat_activity_blocked_count",
      "count(*) filter (where wait_event_type = 'Lock')",
      "Sessions waiting for a heavyweight lock",
    ),
    gauge(
      "pg_stat_activity_max_idle_in_transaction_seconds",
      "coalesce(max(extract(epoch from clock_timestamp() - state_change)) " +
        "filter (where state like 'idle in transaction%'), 0)",
      "Longest time a session has been idle inside a transaction",
    ),
    gauge(
      "pg_stat_activity_max_query_seconds",
      "coalesce(max(extract(epoch from clock_timestamp() - query_start)) " +
        `filter (where state = 'active' and backend_type = 'client backend' and ${ordinaryStatement}), 0)`,
      "Longest running statement, without maintenance and without those marked /* no-alert */",
    ),
    gauge(
      "pg_stat_activity_max_lock_wait_seconds",
      "coalesce((select max(extract(epoch from clock_timestamp() - l.waitstart)) " +
        "from pg_catalog.pg_locks l where not l.granted), 0)",
      "Longest time a session has waited for a lock",
      { since: 14 },
    ),
    // Before 14 nothing says when the wait began; the statement's start is an upper bound.
    gauge(
      "pg_stat_activity_max_lock_wait_seconds",
      "coalesce(max(extract(epoch from clock_timestamp() - query_start)) filter (where wait_event_type = 'Lock'), 0)",
      "Longest time a session has waited for a lock",
      { until: 13 },
    ),
  ],
} as const;

const sessionColumns = `
    a.pid, a.datname, a.usename, a.application_name, a.state, a.backend_type,
    coalesce(a.wait_event_type || ':' || a.wait_event, '') as wait,
    extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_s,
    extract(epoch from clock_timestamp() - a.query_start)::float8 as query_s,
    extract(epoch from clock_timestamp() - a.state_change)::float8 as state_s,
    to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as backend_start,
    left(a.query, 2000) as query`;

const sessionsSql = /* sql */ `
  select ${sessionColumns}
    from pg_catalog.pg_stat_activity a
   where a.pid <> pg_catalog.pg_backend_pid() and a.backend_type = 'client backend' and a.xact_start is not null
   order by a.xact_start
   limit 20`;

// pg_blocking_pids() holds up the lock manager, so it is asked only when somebody waits, and for at most 100.
const blockingSql = (version: number): string => /* sql */ `
  with waiting as (
    select pid, pg_catalog.pg_blocking_pids(pid) as blockers,
           extract(epoch from clock_timestamp() - coalesce(${
             version >= 14
               ? "(select min(l.waitstart) from pg_catalog.pg_locks l where l.pid = w.pid and not l.granted)"
               : "null::timestamptz"
           }, w.query_start))::float8 as wait_s
      from pg_catalog.pg_stat_activity w
     where w.wait_event_type = 'Lock'
     limit 100)
  select ${sessionColumns},
         coalesce(array_to_string(w.blockers, ','), '') as blockers, w.wait_s
    from pg_catalog.pg_stat_activity a left join waiting w on w.pid = a.pid
   where a.pid in (select pid from waiting union all select unnest(blockers) from waiting)`;

type Row = Record<string, unknown>;

/** Sessions by state, the longest of each kind of wait, and who blocks whom. */
export const activityCollector: Collector = {
  name: "activity",
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  metrics: [
    ...defineMetrics(counts.columns, { name: "activity", tier: "T0" }, Object.keys(counts.labels)),
    ...defineMetrics(peaks.columns, { name: "activity", tier: "T0" }, []),
  ],
  begin:
    () =>
    async (session, { version }) => {
      const [byState, longest, sessions] = await Promise.all([
        readView(session, counts, version),
        readView(session, peaks, version),
        session.query<Row>(sessionsSql),
      ]);
      const tables = [byState, longest];
      const blocked = tables[1]?.rows[0]?.values[0] ?? 0;
      return {
        tables,
        facts: {
          sessions: sessions.rows.map(toSession),
          blocking: blocked > 0 ? await readBlocking(session, version) : [],
        },
      };
    },
};

async function readBlocking(session: Queryable, version: number): Promise<readonly BlockingFact[]> {
  const { rows } = await session.query<Row>(blockingSql(version));
  return rows.map((row) =>
    Object.assign(toSession(row), {
      blockedBy: [...new Set(toText(row["blockers"]).split(",").filter(Boolean).map(Number))],
      waitSeconds: toNumber(row["wait_s"]),
    }),
  );
}

function toSession(row: Row): SessionFact {
  return {
    pid: Number(row["pid"]),
    database: toText(row["datname"]),
    user: toText(row["usename"]),
    application: toText(row["application_name"]),
    state: toText(row["state"]),
    backendType: toText(row["backend_type"]),
    wait: toText(row["wait"]),
    transactionSeconds: toNumber(row["transaction_s"]),
    querySeconds: toNumber(row["query_s"]),
    stateSeconds: toNumber(row["state_s"]),
    backendStart: toText(row["backend_start"]),
    query: redactSql(toText(row["query"]), 500),
  };
}
