import { AbortedError, type Clock, type Queryable } from "@db/core";
import { MigrationLockTimeoutError, TransactionPoolerError } from "./errors.ts";
import type { MigrationEvent } from "./event.ts";
import type { History } from "./history.ts";
import { findLeaseHolder } from "./lease.ts";
import { readNature } from "./script.ts";

/** Who holds the lock of a history just now. */
export interface LockHolder {
  /** Null for one behind a pooler, which has no server process of its own. */
  readonly pid: number | null;
  readonly application: string;
  /** ISO 8601. */
  readonly connectedAt: string;
}

/** How a lock is waited for. */
export interface Waiting {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent: (event: MigrationEvent) => void;
}

const firstPauseMs = 20;
const longestPauseMs = 500;

/**
 * Runs `use` while this session alone holds the history's advisory lock. The lock is polled for and never waited
 * on: a blocked `pg_advisory_lock` holds a snapshot, which CREATE INDEX CONCURRENTLY in the holder would wait for.
 * @returns what `use` gave; it is told how long the wait was and which server process holds the lock
 */
export async function withAdvisoryLock<T>(
  session: Queryable,
  history: History,
  waiting: Waiting,
  use: (lock: { readonly waitedMs: number; readonly pid: number; readonly scripts: boolean }) => Promise<T>,
): Promise<T> {
  const key = history.lockKey;
  const began = waiting.clock.now();
  const tryLock = (): Promise<number | null> => tryAdvisoryLock(session, history);
  let pid = await tryLock();
  for (let pauseMs = firstPauseMs; pid === null; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    const waitedMs = waiting.clock.now() - began;
    if (waitedMs >= waiting.timeoutMs) {
      const holder = await findLockHolder(session, history);
      throw new MigrationLockTimeoutError(`another runner held the migration lock for ${Math.round(waitedMs)} ms`, {
        hint: holder
          ? `Wait for ${holder.pid === null ? "the runner behind the pooler" : `server process ${holder.pid}`} (${holder.application || "unnamed"}), or end it with pg_terminate_backend.`
          : "Try again.",
      });
    }
    waiting.onEvent({ type: "lock-waiting", waitedMs });
    // Spread out, so that many runners do not ask at once.
    await waiting.clock.sleep(Math.min(pauseMs * (0.75 + Math.random() / 2), waiting.timeoutMs), waiting.signal);
    pid = await tryLock();
  }
  const waitedMs = waiting.clock.now() - began;
  waiting.onEvent({ type: "lock-acquired", waitedMs });
  try {
    if (waiting.signal.aborted) throw new AbortedError("the migration was aborted", { cause: waiting.signal.reason });
    const nature = await readNature(session);
    if (nature.pid !== pid) throw transactionPoolerError();
    return await use({ waitedMs, pid, scripts: nature.scripts });
  } finally {
    // A session that is gone has let go of it already.
    await session.query("select pg_advisory_unlock($1::bigint)", [key]).catch(() => undefined);
  }
}

/** The session that holds the history's lock; null when nobody does. */
export async function findLockHolder(session: Queryable, history: History): Promise<LockHolder | null> {
  const { rows } = await session.query<{ pid: number; application: string | null; since: number | null }>(holderSql, [
    history.lockKey,
  ]);
  const [row] = rows;
  return row
    ? { pid: row.pid, application: row.application ?? "", connectedAt: new Date(row.since ?? 0).toISOString() }
    : findLeaseHolder(session, history);
}

const holderSql = /* sql */ `
  select l.pid, a.application_name as application, (extract(epoch from a.backend_start) * 1000)::float8 as since
    from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
   where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
     and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
     and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
   limit 1`;

async function tryAdvisoryLock(session: Queryable, history: History): Promise<number | null> {
  const { rows } = await session.query<{ locked: boolean; pid: number; leased: boolean }>(
    `select pg_try_advisory_lock($1::bigint) as locked, pg_backend_pid() as pid,
            to_regclass(quote_ident($2) || '.' || quote_ident($3 || '_lease')) is not null as leased`,
    [history.lockKey, history.schema, history.table],
  );
  const [row] = rows;
  if (!row?.locked) return null;
  // A runner behind a pooler has a lease instead: each side puts up its own sign first, then looks for the other's.
  if (!row.leased || (await findLeaseHolder(session, history)) === null) return row.pid;
  await session.query("select pg_advisory_unlock($1::bigint)", [history.lockKey]);
  return null;
}

export function transactionPoolerError(): TransactionPoolerError {
  return new TransactionPoolerError("the session changes its server process between statements", {
    hint: "Connect past the pooler, or to one in session mode: a lock and a setting must stay on one session.",
  });
}
