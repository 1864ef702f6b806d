import type { Queryable } from "@db/core";
import { toNumber, toText } from "../collector.ts";
import type { BlockingFact, SessionFact } from "../facts.ts";
import { redactSql } from "../redact.ts";

const sessionColumns = `
    a.pid, a.datname, a.usename, a.application_name, a.state, a.backend_type,
    coalesce(a.wait_event_type || ':' || a.wait_event, '') as wait,
    extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_s,
    extract(epoch from clock_timestamp() - a.query_start)::float8 as query_s,
    extract(epoch from clock_timestamp() - a.state_change)::float8 as state_s,
    to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as backend_start,
    left(a.query, 2000) as query`;

type SessionRow = Readonly<Record<string, unknown>>;

/** The sessions whose transaction has been open longest, at most 20. */
export async function readLongSessions(session: Queryable, leastSeconds: number): Promise<readonly SessionFact[]> {
  const { rows } = await session.query<SessionRow>(
    `select ${sessionColumns} from pg_catalog.pg_stat_activity a
      where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()
        and xact_start < pg_catalog.statement_timestamp() - interval '${leastSeconds} s' order by xact_start limit 20`,
  );
  return rows.map(toSession);
}

/** Who waits for whom. */
export interface Blocking {
  /** Sessions that wait for a lock and those that hold them up. */
  readonly tree: readonly BlockingFact[];
  /** The longest wait in seconds. */
  readonly longestSeconds: number;
}

// Before 14 nothing says when the wait began; the statement's start is an upper bound.
const waitsSql = (version: number): string =>
  version >= 14
    ? `select pid, min(waitstart) as since from pg_catalog.pg_locks where not granted group by pid`
    : "select null::int as pid, null::timestamptz as since";

// pg_blocking_pids() holds up the lock manager, so it is asked only when somebody waits, and for at most 100.
const blockingSql = (version: number): string => /* sql */ `
  with waiting as (
    select w.pid, pg_catalog.pg_blocking_pids(w.pid) as blockers,
           extract(epoch from clock_timestamp() - coalesce(l.since, w.query_start))::float8 as wait_s
      from (select pid, query_start from pg_catalog.pg_stat_activity
             where wait_event_type = 'Lock' order by query_start limit 100) w
      left join (${waitsSql(version)}) l on l.pid = w.pid)
  select ${sessionColumns},
         coalesce(array_to_string(w.blockers, ','), '') as blockers, w.wait_s
    from pg_catalog.pg_stat_activity a left join waiting w on w.pid = a.pid
   where a.pid in (select pid from waiting union all select unnest(blockers) from waiting)`;

/** @param of.isHidden some sessions may not be looked at; from 14 on their locks may, and say how long they wait */
export async function readBlocking(
  session: Queryable,
  version: number,
  { isHidden }: { readonly isHidden: boolean },
): Promise<Blocking> {
  const { rows } = await session.query<SessionRow>(blockingSql(version));
  const tree = rows.map((row) => ({
    ...toSession(row),
    blockedBy: [...new Set(toText(row["blockers"]).split(",").filter(Boolean).map(Number))],
    waitSeconds: toNumber(row["wait_s"]),
  }));
  let longestSeconds = Math.max(0, ...tree.map(({ waitSeconds }) => waitSeconds ?? 0));
  if (isHidden && version >= 14) {
    const waits = await session.query<{ seconds: unknown }>(
      `select max(extract(epoch from clock_timestamp() - since))::float8 as seconds from (${waitsSql(version)}) w`,
    );
    longestSeconds = Math.max(longestSeconds, toNumber(waits.rows[0]?.seconds) ?? 0);
  }
  return { tree, longestSeconds };
}

function toSession(row: SessionRow): SessionFact {
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
