import type { Queryable } from "@db/core";
import { type Collector, defineMetrics, gauge, toNumber, toText } from "../collector.ts";
import type { BlockingFact, SessionFact } from "../facts.ts";
import { redactSql } from "../redact.ts";
import { type Row, rowsSql } from "../rows.ts";
import { readDatabases, readLocks, type Source, source } from "./live.ts";

// Maintenance is long by nature, and a comment lets anybody say that a statement is meant to be long.
const ordinaryStatement = String.raw`query !~* '^\s*(vacuum|analyze|reindex|cluster|copy|create\s+(unique\s+)?index)'
      and query !~ '/\*\s*no-alert\s*\*/'`;

const counts = [
  gauge("pg_stat_activity_count", "", "Sessions in this state"),
  gauge("pg_stat_activity_max_tx_duration", "", "Longest time in seconds any transaction in this state has been open"),
] as const;

const peaks = [
  gauge("pg_stat_activity_blocked_count", "", "Sessions waiting for a heavyweight lock"),
  gauge(
    "pg_stat_activity_max_idle_in_transaction_seconds",
    "",
    "Longest time a session has been idle inside a transaction",
  ),
  gauge(
    "pg_stat_activity_max_query_seconds",
    "",
    "Longest running statement, without maintenance and without those marked /* no-alert */",
  ),
  gauge("pg_stat_activity_max_lock_wait_seconds", "", "Longest time a session has waited for a lock"),
] as const;

const countLabels = ["datname", "state", "backend_type", "wait_event_type"] as const;
const countMetrics = counts.map(({ name }) => name);
const peakMetrics = peaks.map(({ name }) => name);

const seconds = (since: string): string => `pg_catalog.date_part('epoch', clock_timestamp() - ${since})`;

// One look at all sessions for everything that is told of them. Ordinary is asked last: it reads the whole statement.
const activitySql = `with a as materialized (
    select datid, pid, usesysid, application_name, state, query, wait_event_type, wait_event, xact_start, query_start,
           state_change, backend_start, backend_type, backend_xid, backend_xmin
      from pg_catalog.pg_stat_get_activity(null) where pid <> pg_catalog.pg_backend_pid())
  ${rowsSql(
    [
      `(select pg_catalog.json_agg(pg_catalog.json_build_array(g.datid, g.state, g.backend_type, g.wait_event_type,
              g.sessions, ${seconds("g.transaction")}, ${seconds("g.state_change")}, ${seconds("g.waiting")},
              ${seconds("g.ordinary")}))
        from (select datid, state, backend_type, wait_event_type, count(*) as sessions, min(xact_start) as transaction,
                     min(state_change) as state_change, min(query_start) as waiting,
                     min(query_start) filter (where state = 'active' and backend_type = 'client backend'
                       and ${ordinaryStatement}) as ordinary
                from a group by 1, 2, 3, 4) g)`,
      `(select pg_catalog.json_agg(pg_catalog.json_build_array(s.pid, s.datid,
              case when s.usesysid is not null then pg_catalog.pg_get_userbyid(s.usesysid) end, s.application_name,
              s.state, s.backend_type, coalesce(s.wait_event_type || ':' || s.wait_event, ''),
              ${seconds("s.xact_start")}, ${seconds("s.query_start")}, ${seconds("s.state_change")},
              to_char(s.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), left(s.query, 2000)))
        from (select * from a where backend_type = 'client backend' and xact_start is not null
               order by xact_start limit 20) s)`,
      `(select pg_catalog.json_agg(pg_catalog.json_build_array(h.pid, h.age))
        from (select pid, greatest(age(backend_xmin), age(backend_xid)) as age from a
               where backend_type <> 'walsender' and (backend_xmin is not null or backend_xid is not null)
               order by 2 desc limit 5) h)`,
    ],
    "",
  )}`;

interface Activity {
  readonly groups: readonly Group[];
  readonly sessions: readonly Row[];
  /** Sessions that keep VACUUM from removing rows, the oldest first, at most 5. */
  readonly holders: readonly { readonly pid: number; readonly age: number }[];
}

/** Sessions that have what is counted in common. */
interface Group {
  readonly database: string;
  readonly state: string;
  readonly backendType: string;
  readonly waitEventType: string;
  readonly sessions: number;
  /** Longest times in seconds since the transaction began, the state changed, the statement began. */
  readonly transactionSeconds: number;
  readonly stateSeconds: number;
  readonly querySeconds: number;
  /** Of ordinary statements only. */
  readonly ordinarySeconds: number;
}

/** All sessions but the own one. */
export const readActivity: Source<Activity> = source(
  () => activitySql,
  ([row = []]) => {
    const [groups, sessions, holders] = row as readonly (readonly Row[] | null)[];
    return {
      groups: (groups ?? []).map((group) => ({
        database: toText(group[0]),
        state: toText(group[1]),
        backendType: toText(group[2]),
        waitEventType: toText(group[3]),
        sessions: Number(group[4]),
        transactionSeconds: toNumber(group[5]) ?? 0,
        stateSeconds: toNumber(group[6]) ?? 0,
        querySeconds: toNumber(group[7]) ?? 0,
        ordinarySeconds: toNumber(group[8]) ?? 0,
      })),
      sessions: sessions ?? [],
      holders: (holders ?? []).map(([pid, age]) => ({ pid: Number(pid), age: Number(age) })),
    };
  },
);

const sessionColumns = `
    a.pid, a.datname, a.usename, a.application_name, a.state, a.backend_type,
    coalesce(a.wait_event_type || ':' || a.wait_event, '') as wait,
    extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_s,
    extract(epoch from clock_timestamp() - a.query_start)::float8 as query_s,
    extract(epoch from clock_timestamp() - a.state_change)::float8 as state_s,
    to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as backend_start,
    left(a.query, 2000) as query`;

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

type BlockingRow = Record<string, unknown>;

/** Sessions by state, the longest of each kind of wait, and who blocks whom. */
export const activityCollector: Collector = {
  name: "activity",
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  metrics: [
    ...defineMetrics(counts, { name: "activity", tier: "T0" }, countLabels),
    ...defineMetrics(peaks, { name: "activity", tier: "T0" }, []),
  ],
  begin:
    () =>
    async (session, { version }) => {
      const [{ groups, sessions }, databases, locks] = await Promise.all([
        readActivity(session, version),
        readDatabases(session, version),
        // Before 14 nothing says when the wait began; the statement's start is an upper bound.
        version >= 14 ? readLocks(session, version) : [],
      ]);
      const waiting = groups.filter(({ waitEventType }) => waitEventType === "Lock");
      const blocked = waiting.reduce((sum, group) => sum + group.sessions, 0);
      const longest = (times: readonly number[]): number => Math.max(0, ...times);
      const idle = groups.filter(({ state }) => state.startsWith("idle in transaction"));
      const nameOf = (database: unknown): string => databases.get(toText(database)) ?? "";
      return {
        tables: [
          {
            labelNames: countLabels,
            metrics: countMetrics,
            rows: groups.map(({ database, state, backendType, waitEventType, ...group }) => ({
              labels: [nameOf(database), state, backendType, waitEventType],
              values: [group.sessions, group.transactionSeconds],
            })),
          },
          {
            labelNames: [],
            metrics: peakMetrics,
            rows: [
              {
                labels: [],
                values: [
                  blocked,
                  longest(idle.map(({ stateSeconds }) => stateSeconds)),
                  longest(groups.map(({ ordinarySeconds }) => ordinarySeconds)),
                  version >= 14
                    ? longest(locks.map(({ waitSeconds }) => waitSeconds ?? 0))
                    : longest(waiting.map(({ querySeconds }) => querySeconds)),
                ],
              },
            ],
          },
        ],
        facts: {
          sessions: sessions.map((row) => toSession([row[0], nameOf(row[1]), ...row.slice(2)])),
          blocking: blocked > 0 ? await readBlocking(session, version) : [],
        },
      };
    },
};

async function readBlocking(session: Queryable, version: number): Promise<readonly BlockingFact[]> {
  const { rows } = await session.query<BlockingRow>(blockingSql(version));
  return rows.map((row) =>
    Object.assign(toSession(sessionKeys.map((key) => row[key])), {
      blockedBy: [...new Set(toText(row["blockers"]).split(",").filter(Boolean).map(Number))],
      waitSeconds: toNumber(row["wait_s"]),
    }),
  );
}

const sessionKeys = [
  "pid",
  "datname",
  "usename",
  "application_name",
  "state",
  "backend_type",
  "wait",
  "transaction_s",
  "query_s",
  "state_s",
  "backend_start",
  "query",
] as const;

/** @param row in the order of `sessionKeys` */
function toSession(row: Row): SessionFact {
  return {
    pid: Number(row[0]),
    database: toText(row[1]),
    user: toText(row[2]),
    application: toText(row[3]),
    state: toText(row[4]),
    backendType: toText(row[5]),
    wait: toText(row[6]),
    transactionSeconds: toNumber(row[7]),
    querySeconds: toNumber(row[8]),
    stateSeconds: toNumber(row[9]),
    backendStart: toText(row[10]),
    query: redactSql(toText(row[11]), 500),
  };
}
