import { type Collected, type Collector, defineMetrics, gauge } from "../collector.ts";
import type { SessionFact } from "../facts.ts";
import { type Source, source } from "../live.ts";
import { freeText, rowsSql } from "../rows.ts";
import { readDatabases, seconds } from "./live.ts";
import { type Blocking, readBlocking, readLongSessions } from "./sessions.ts";

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
    "Longest running statement, from 0.1 s on, without maintenance and without those marked /* no-alert */",
  ),
  gauge("pg_stat_activity_max_lock_wait_seconds", "", "Longest time a session has waited for a lock, from 0.1 s on"),
] as const;

const countLabels = ["datname", "state", "backend_type", "wait_event_type"] as const;
const countMetrics = counts.map(({ name }) => name);
const peakMetrics = peaks.map(({ name }) => name);

/** What is younger is over before anybody reads of it: to look into it costs, and says nothing. */
const momentSeconds = 0.1;
const longerThan = (time: string): string => `query_start < pg_catalog.statement_timestamp() - interval '${time}'`;

/** A session that the monitor's role may not look at could be in anything. */
const isHidden = "query = '<insufficient privilege>'";

// Seven views are much to ask when nothing runs that they tell of. A stream of WAL is active for ever.
const mayTellProgress = `${isHidden} or state = 'active' and ${longerThan("1 s")}
  and (backend_type <> 'walsender' or query ~* 'base_?backup')`;

// Ordinary is asked last: it reads the whole statement.
const activitySql = rowsSql(
  [
    "g.datid",
    "g.state",
    freeText("g.backend_type"),
    "g.wait_event_type",
    "g.sessions",
    seconds("g.transaction"),
    seconds("g.state_change"),
    seconds("g.statement"),
    seconds("g.ordinary"),
    "g.commands",
    "g.hidden",
  ],
  `from (select datid, state, backend_type, wait_event_type, count(*) as sessions, min(xact_start) as transaction,
                min(state_change) as state_change, min(query_start) as statement,
                min(query_start) filter (where state = 'active' and backend_type = 'client backend'
                  and ${longerThan(`${momentSeconds} s`)} and ${ordinaryStatement}) as ordinary,
                count(*) filter (where ${mayTellProgress}) as commands, count(*) filter (where ${isHidden}) as hidden
           from pg_catalog.pg_stat_get_activity(null) where pid <> pg_catalog.pg_backend_pid()
          group by 1, 2, 3, 4) g`,
);

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
  /** Sessions that have been for a second in what may be a command that tells how far it is. */
  readonly commands: number;
  /** Sessions of which the monitor's role may see no more than that they are there. */
  readonly hidden: number;
}

/** All sessions but the own one, in groups. */
export const readActivity: Source<readonly Group[]> = source(
  () => activitySql,
  (rows) =>
    rows.map(([database = "", state = "", backendType = "", waitEventType = "", ...numbers]) => ({
      database,
      state,
      backendType,
      waitEventType,
      sessions: Number(numbers[0]),
      transactionSeconds: Number(numbers[1]),
      stateSeconds: Number(numbers[2]),
      querySeconds: Number(numbers[3]),
      ordinarySeconds: Number(numbers[4]),
      commands: Number(numbers[5]),
      hidden: Number(numbers[6]),
    })),
);

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
      const groups = readActivity.read(rowsOf, version);
      const databases = readDatabases.read(rowsOf, version);
      const collected = (sessions: readonly SessionFact[], blocking: Blocking): Collected => ({
        tables: [
          {
            labelNames: countLabels,
            metrics: countMetrics,
            rows: groups.map(({ database, state, backendType, waitEventType, ...group }) => ({
              labels: [databases.get(database) ?? "", state, backendType, waitEventType],
              values: [group.sessions, group.transactionSeconds],
            })),
          },
          { labelNames: [], metrics: peakMetrics, rows: [{ labels: [], values: peaksOf(groups, blocking) }] },
        ],
        facts: { sessions, blocking: blocking.tree },
      });
      const isLong = groups.some(
        ({ backendType, transactionSeconds }) =>
          backendType === "client backend" && transactionSeconds >= momentSeconds,
      );
      const isBlocked = groups.some(
        ({ waitEventType, querySeconds }) => waitEventType === "Lock" && querySeconds >= momentSeconds,
      );
      const isHidden = groups.some(({ hidden }) => hidden > 0);
      if (!isLong && !isBlocked && !isHidden) return collected([], unblocked);
      return async (session) =>
        collected(
          isLong ? await readLongSessions(session, momentSeconds) : [],
          isBlocked || isHidden ? await readBlocking(session, version, { isHidden }) : unblocked,
        );
    },
  }),
};

const unblocked: Blocking = { tree: [], longestSeconds: 0 };

function peaksOf(groups: readonly Group[], { longestSeconds }: Blocking): readonly number[] {
  let blocked = 0;
  let idle = 0;
  let ordinary = 0;
  for (const { state, waitEventType, sessions, stateSeconds, ordinarySeconds } of groups) {
    if (waitEventType === "Lock") blocked += sessions;
    if (state.startsWith("idle in transaction")) idle = Math.max(idle, stateSeconds);
    ordinary = Math.max(ordinary, ordinarySeconds);
  }
  return [blocked, idle, ordinary, longestSeconds];
}
