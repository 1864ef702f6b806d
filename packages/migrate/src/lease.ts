import { randomUUID } from "node:crypto";
import { AbortedError, type Queryable, quoteLiteral, quoteQualified, sqlStateOf } from "@db/core";
import type { LockHolder, Waiting } from "./advisory-lock.ts";
import { MigrationLockTimeoutError } from "./errors.ts";
import type { History } from "./history.ts";

// A runner that is silent for this long, with no statement on the server, has lost its lease.
const leaseMs = 30_000;
const heartbeatMs = 10_000;
const firstPauseMs = 20;
const longestPauseMs = 500;

/** A lease as held: the session to work in, and the SQL that says whether it still is. */
export interface Lease {
  readonly waitedMs: number;
  /** Every statement carries the lease's mark, so that the server itself tells that its holder is at work. */
  readonly session: Queryable;
  readonly fence: string;
}

/**
 * Runs `use` while a row of the database says that this runner alone works: for sessions that a pooler hands from one
 * server process to the next, on which a lock taken by one statement is nobody's for the next. Three things keep it:
 * the time in the row, renewed while the runner is idle; its mark on a statement that is running, whatever the time
 * says; and a fence in every row of the history, which refuses to be written once the lease went to somebody else.
 */
export async function withLease<T>(
  session: Queryable,
  history: History,
  waiting: Waiting,
  use: (lease: Lease) => Promise<T>,
): Promise<T> {
  const table = leaseTable(history);
  await ensureLease(session, table);
  const token = randomUUID();
  const marked = new MarkedSession(session, token);
  const began = waiting.clock.now();
  const take = (): Promise<boolean> => takeLease(marked, history, table, token);
  for (let pauseMs = firstPauseMs; !(await take()); pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    const waitedMs = waiting.clock.now() - began;
    if (waitedMs >= waiting.timeoutMs) {
      throw new MigrationLockTimeoutError(`another runner held the migration lease for ${Math.round(waitedMs)} ms`, {
        hint: `Wait for it; one that died gives way ${leaseMs / 1_000} s after its last statement.`,
      });
    }
    waiting.onEvent({ type: "lock-waiting", waitedMs });
    await waiting.clock.sleep(Math.min(pauseMs * (0.75 + Math.random() / 2), waiting.timeoutMs), waiting.signal);
  }
  const waitedMs = waiting.clock.now() - began;
  waiting.onEvent({ type: "lock-acquired", waitedMs });
  const renewal = `update ${table} set expires_at = clock_timestamp() + interval '${leaseMs} ms'
    where token = ${quoteLiteral(token)}`;
  const heart = setInterval(() => void marked.whenIdle(renewal), heartbeatMs);
  heart.unref();
  try {
    if (waiting.signal.aborted) throw new AbortedError("the migration was aborted", { cause: waiting.signal.reason });
    const fence = `exists (select from ${table} where token = ${quoteLiteral(token)})`;
    return await use({ waitedMs, session: marked, fence });
  } finally {
    clearInterval(heart);
    await releaseLease(marked, table, token).catch(() => undefined);
  }
}

/** Who holds the lease just now, and at work; null when nobody does or there never was one. */
export async function findLeaseHolder(session: Queryable, history: History): Promise<LockHolder | null> {
  const table = leaseTable(history);
  const there = await session.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
  if (!there.rows[0]?.there) return null;
  const { rows } = await session.query<{ application: string; since: number }>(
    `select l.holder as application, (extract(epoch from l.taken_at) * 1000)::float8 as since
       from ${table} l where not (${isFree})`,
  );
  const [row] = rows;
  return row ? { pid: null, application: row.application, connectedAt: new Date(row.since).toISOString() } : null;
}

// The text of another session's statement is seen by its own role, and by members of pg_read_all_stats.
const isFree = /* sql */ `l.expires_at < clock_timestamp()
  and (l.token = '' or not exists (select from pg_catalog.pg_stat_activity a
                                    where a.datname = current_database() and a.state <> 'idle'
                                      and starts_with(a.query, '/* db_migrate ' || l.token || ' */')))`;

async function takeLease(session: Queryable, history: History, table: string, token: string): Promise<boolean> {
  // Skipped and not waited for: whoever waits holds a snapshot, which CREATE INDEX CONCURRENTLY would wait for.
  const taken = await session.query(
    `with free as (select id from ${table} l where ${isFree} for update skip locked)
     update ${table} l
        set token = $1, taken_at = clock_timestamp(), expires_at = clock_timestamp() + interval '${leaseMs} ms',
            holder = current_setting('application_name')
       from free where l.id = free.id returning l.id`,
    [token],
  );
  if (taken.rows.length === 0) return false;
  // Each side puts up its own sign first and then looks for the other's.
  const direct = await session.query<{ held: boolean }>(
    `select exists (select from pg_catalog.pg_locks l
                     where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
                       and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
                       and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint) as held`,
    [history.lockKey],
  );
  if (!direct.rows[0]?.held) return true;
  await releaseLease(session, table, token);
  return false;
}

async function releaseLease(session: Queryable, table: string, token: string): Promise<void> {
  await session.query(`update ${table} set token = '', expires_at = '-infinity' where token = $1`, [token]);
}

async function ensureLease(session: Queryable, table: string): Promise<void> {
  const there = await session.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
  if (there.rows[0]?.there) return;
  const [schema] = table.split(".");
  // Two runners may be at it: one of them finds the name taken, and with it what it needs.
  for (const sql of [`create schema if not exists ${schema}`, `create table if not exists ${table} ${columns}`]) {
    await session.query(sql).catch((error: unknown) => {
      // unique_violation, duplicate_object, duplicate_schema, duplicate_table
      if (!["23505", "42710", "42P06", "42P07"].includes(sqlStateOf(error) ?? "")) throw error;
    });
  }
  await session.query(`insert into ${table} (id) values (1) on conflict do nothing`);
}

const columns = /* sql */ `(
  id         integer primary key check (id = 1),
  token      text not null default '',
  holder     text not null default '',
  taken_at   timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null default '-infinity'
)`;

function leaseTable(history: History): string {
  return quoteQualified(history.schema, `${history.table}_lease`);
}

/** Sends one statement at a time, each with the lease's mark. */
class MarkedSession implements Queryable {
  readonly #session: Queryable;
  readonly #mark: string;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #inTransaction = false;

  constructor(session: Queryable, token: string) {
    this.#session = session;
    this.#mark = `/* db_migrate ${token} */ `;
  }

  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<{ readonly rows: Row[] }> {
    this.#waiting++;
    const answer = this.#tail.then(() => this.#session.query<Row>(this.#mark + text, values));
    this.#tail = answer.then(
      () => this.#left(text),
      () => this.#left(text),
    );
    return answer;
  }

  /** Runs a statement between two others, and not at all while there is work: that keeps the lease by itself. */
  async whenIdle(text: string): Promise<void> {
    if (this.#waiting > 0 || this.#inTransaction) return;
    await this.query(text).catch(() => undefined);
  }

  #left(text: string): void {
    this.#waiting--;
    if (/^\s*begin\b/i.test(text)) this.#inTransaction = true;
    if (/\b(commit|rollback)\s*$/i.test(text)) this.#inTransaction = false;
  }
}
