import type { Queryable } from "@db/core";
import { transactionPoolerError, type Waiting, withAdvisoryLock } from "./advisory-lock.ts";
import { LeaseLostError } from "./errors.ts";
import type { History } from "./history.ts";
import { withLease } from "./lease.ts";
import { readNature } from "./script.ts";

/** The lock of a history, as held. */
export interface MigrationLock {
  readonly waitedMs: number;
  /** To work in. */
  readonly session: Queryable;
  /** SQL that holds while the lock is this runner's. */
  readonly fence: string;
  /** True behind a pooler: a lease stands in for the advisory lock. */
  readonly leased: boolean;
  /** The server process that does the work; null behind a pooler, where it may be any. */
  readonly pid: number | null;
  /** Whether the session takes several statements in one text. */
  readonly scripts: boolean;
}

/**
 * Runs `use` while this runner alone works on the history: under an advisory lock, or, where a pooler stands between,
 * under a lease. Never waits inside the server.
 */
export async function withMigrationLock<T>(
  session: Queryable,
  history: History,
  waiting: Waiting,
  use: (lock: MigrationLock) => Promise<T>,
): Promise<T> {
  if (!(await isPooled(session))) {
    return withAdvisoryLock(session, history, waiting, ({ pid, scripts, waitedMs }) =>
      use({ waitedMs, session, fence: `pg_backend_pid() = ${pid}`, leased: false, pid, scripts }),
    );
  }
  return withLease(session, history, waiting, async (lease) => {
    const { scripts } = await readNature(lease.session);
    return use({ ...lease, leased: true, pid: null, scripts });
  });
}

/** What a fence that does not hold means. */
export function fencedError({ leased }: { readonly leased: boolean }): Error {
  if (!leased) return transactionPoolerError();
  return new LeaseLostError("another runner took the migration lease over", {
    hint: "Plan and apply again: the history knows what was done.",
  });
}

/**
 * Whether a pooler stands between: it makes up the process number it tells a client at connecting, since the client's
 * statements may come to any of its server connections. A session that does not say its number is taken for direct.
 */
async function isPooled(session: Queryable): Promise<boolean> {
  const { processID } = session as { readonly processID?: unknown };
  if (typeof processID !== "number") return false;
  const { rows } = await session.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid !== processID;
}
