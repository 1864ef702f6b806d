import type { Queryable } from "@db/core";
import { type Collector, defineMetrics, gauge, toNumber, toText } from "../collector.ts";
import type { BlockingFact, SessionFact } from "../facts.ts";
import { redactSql } from "../redact.ts";
import { type Source, source } from "../live.ts";
import { freeText, type Row, rowsSql } from "../rows.ts";
import { readDatabases } from "./live.ts";
import { progressCommandsOn } from "./progress-commands.ts";

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

/** What is younger is over before anybody reads of it: it costs to tell of, and says nothing. */
const momentSeconds = 0.1;
const longerThan = (time: string, since: string): string =>
  `${since} < pg_catalog.statement_timestamp() - interval '${time}'`;
const longerThanMoment = (since: string): string => longerThan(`${momentSeconds} s`, since);

// Six functions are much to ask on every scrape when nothing runs that they tell of. An active session that is not seen
// to be a stream of WAL may be in such a command; one that may not be looked at, too.
const commandsOn = (version: number): string =>
  progressCommandsOn(version)
    .map(({ command }) => `('${command.replace("_", " ").toUpperCase()}')`)
    .join(", ");
/** A session that the monitor's role may not look at could be in anything. */
const isHidden = "a.query = '<insufficient privilege>'";
const mayProgress = `(${isHidden} or a.state = 'active' and ${longerThan("1 s", "a.query_start")}
  and (a.backend_type <> 'walsender' or a.query ~* 'base_?backup'))`;
const mayWait = `(${isHidden} or a.wait_event_type = 'Lock' and ${longerThanMoment("a.query_start")})`;

// One look at all sessions for everything that is told of them: rows of groups, of long transactions, of what holds up
// VACUUM, of the longest wait for a lock, of commands that tell how far they are. Whoever looks at all locks holds up
// everybody who takes one, so that is done only where somebody has waited for more than a moment. Ordinary is asked last: it reads the whole statement.
const activitySql = (version: number): string => `with a as materialized (
    select datid, pid, usesysid, application_name, state, query, wait_event_type, wait_event, xact_start, query_start,
           state_change, backend_start, backend_type, backend_xid, backend_xmin
      from pg_catalog.pg_stat_get_activity(null) where pid <> pg_catalog.pg_backend_pid())
  ${rowsSql(
    [
      "'group'",
      "g.datid",
      "g.state",
      freeText("g.backend_type"),
      "g.wait_event_type",
      "g.sessions",
      seconds("g.transaction"),
      seconds("g.state_change"),
      seconds("g.waiting"),
      seconds("g.ordinary"),
    ],
    `from (select datid, state, backend_type, wait_event_type, count(*) as sessions, min(xact_start) as transaction,
                  min(state_change) as state_change, min(query_start) as waiting,
                  min(query_start) filter (where state = 'active' and backend_type = 'client backend'
                    and ${longerThanMoment("query_start")} and ${ordinaryStatement}) as ordinary
             from a group by 1, 2, 3, 4) g`,
  )}
  union all (${rowsSql(
    [
      "'session'",
      "s.pid",
      "s.datid",
      freeText("case when s.usesysid is not null then pg_catalog.pg_get_userbyid(s.usesysid) end"),
      freeText("s.application_name"),
      "s.state",
      "s.backend_type",
      "coalesce(s.wait_event_type || ':' || s.wait_event, '')",
      seconds("s.xact_start"),
      seconds("s.query_start"),
      seconds("s.state_change"),
      `to_char(s.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
      freeText("left(s.query, 2000)"),
    ],
    `from (select * from a where backend_type = 'client backend' and ${longerThanMoment("xact_start")}
            order by xact_start limit 20) s`,
  )})
  union all (${rowsSql(
    ["'holder'", "h.pid", "h.age"],
    `from (select pid, greatest(age(backend_xmin), age(backend_xid)) as age from a
            where backend_type <> 'walsender' and (backend_xmin is not null or backend_xid is not null)
            order by 2 desc limit 5) h`,
  )})
  union all (${rowsSql(
    // Before 14 nothing says when the wait began; the statement's start is an upper bound.
    ["'wait'", version >= 14 ? seconds("min(l.waitstart)") : seconds("min(l.query_start)")],
    `from ${version >= 14 ? "pg_catalog.pg_locks l where not l.granted and" : "a l where l.wait_event_type = 'Lock' and"}
       exists (select from a where ${mayWait})`,
  )})
  union all (${rowsSql(
    ["'commands'", "count(*)"],
    `from (values ${commandsOn(version)}) as c (command)
     cross join lateral pg_catalog.pg_stat_get_progress_info(c.command) p
     where exists (select from a where ${mayProgress})`,
  )})`;

interface Activity {
  readonly groups: readonly Group[];
  /** Those whose transaction has been open longest, for more than a moment, at most 20; in the order of `sessionKeys`. */
  readonly sessions: readonly Row[];
  /** Sessions that keep VACUUM from removing rows, the oldest first, at most 5. */
  readonly holders: readonly { readonly pid: number; readonly age: number }[];
  /** Longest wait for a lock, 0 where none has lasted for more than a moment. */
  readonly lockWaitSeconds: number;
  /** Commands that tell how far they are, and have run for more than a second. */
  readonly commands: number;
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
  /** Of ordinary statements only, and of those that have run for more than a moment. */
  readonly ordinarySeconds: number;
}

/** All sessions but the own one. */
export const readActivity: Source<Activity> = source(activitySql, (rows) => {
  const of = (kind: string): readonly Row[] => rows.flatMap(([first, ...row]) => (first === kind ? [row] : []));
  return {
    groups: of("group").map(([database = "", state = "", backendType = "", waitEventType = "", count, ...times]) => ({
      database,
      state,
      backendType,
      waitEventType,
      sessions: Number(count),
      transactionSeconds: Number(times[0]),
      stateSeconds: Number(times[1]),
      querySeconds: Number(times[2]),
      ordinarySeconds: Number(times[3]),
    })),
    sessions: of("session"),
    holders: of("holder").map(([pid, age]) => ({ pid: Number(pid), age: Number(age) })),
    lockWaitSeconds: Number(of("wait")[0]?.[0] ?? 0),
    commands: Number(of("commands")[0]?.[0] ?? 0),
  };
});

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
  begin: () => ({
    asks: (version) => [readActivity.textOn(version), readDatabases.textOn(version)],
    make: (rowsOf, { version }) => {
      const { groups, sessions, lockWaitSeconds } = readActivity.read(rowsOf, version);
      const databases = readDatabases.read(rowsOf, version);
      const waiting = groups.filter(({ waitEventType }) => waitEventType === "Lock");
      const longest = (times: readonly number[]): number => Math.max(0, ...times);
      const idle = groups.filter(({ state }) => state.startsWith("idle in transaction"));
      const nameOf = (database: unknown): string => databases.get(toText(database)) ?? "";
      const blocked = waiting.reduce((sum, group) => sum + group.sessions, 0);
      const collected = {
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
                  lockWaitSeconds,
                ],
              },
            ],
          },
        ],
        facts: {
          sessions: sessions.map(([pid, database, ...rest]) => toSession([pid, nameOf(database), ...rest])),
          blocking: [],
        },
      };
      if (lockWaitSeconds < momentSeconds) return collected;
      return async (session) => ({
        ...collected,
        facts: { ...collected.facts, blocking: await readBlocking(session, version) },
      });
    },
  }),
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
function toSession(row: readonly unknown[]): SessionFact {
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
