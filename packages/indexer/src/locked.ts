import { type Queryable, quoteQualified, sqlStateOf } from "@db/core";
import { aborted, applyError } from "./build-error.ts";
import { IndexLockTimeoutError } from "./errors.ts";
import type { ResolvedApplyOptions } from "./options.ts";

/** The wait for others was lost; nothing was begun. Carries the code the server gives for the same. */
class LostWait extends Error {
  readonly code = "55P03";
}

const writersSql = /* sql */ `
  select coalesce(array_agg(distinct l.virtualtransaction), '{}') as writers
    from pg_catalog.pg_locks l
   where l.locktype = 'relation' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
     and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
     and l.relation = $1::regclass
     and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

/**
 * Waits for those who write to a table now, not for those who come after. A concurrent build would wait for them
 * itself, but when it gives up it leaves an invalid index that cannot be dropped while they go on.
 */
export async function waitForWriters(
  session: Queryable,
  { schema, table }: { readonly schema: string; readonly table: string },
  { lockTimeoutMs, clock, signal }: ResolvedApplyOptions,
): Promise<void> {
  const pauseMs = Math.max(1, Math.min(100, lockTimeoutMs / 4));
  let waitedFor: readonly string[] | undefined;
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    const { rows } = await session.query<{ writers: string[] }>(writersSql, [quoteQualified(schema, table)]);
    const now = rows[0]?.writers ?? [];
    waitedFor = (waitedFor ?? now).filter((writer) => now.includes(writer));
    if (waitedFor.length === 0) return;
    if (waitedMs >= lockTimeoutMs) throw new LostWait(`${waitedFor.length} transaction(s) keep writing to the table`);
    await clock.sleep(pauseMs, signal);
  }
}

/** Runs a statement that waits for a lock, again while the wait is lost; `clear` removes what each failure left. */
export async function retryLocked(
  session: Queryable,
  name: string,
  { attempts, lockTimeoutMs, retryDelayMs, clock, signal, logger }: ResolvedApplyOptions,
  clear: () => Promise<void>,
  work: () => Promise<void>,
): Promise<number> {
  const bound = (ms: number): Promise<unknown> =>
    session.query(`set lock_timeout = ${Math.ceil(Math.min(ms, 2_147_483_647))}`);
  await session.query("set statement_timeout = 0");
  try {
    for (let attempt = 1; ; attempt += 1) {
      if (signal?.aborted) throw aborted(signal);
      await bound(lockTimeoutMs);
      try {
        await work();
        return attempt;
      } catch (error) {
        // Whoever gives up does not want to wait long for the clearing either.
        await bound(Math.min(lockTimeoutMs, 2_000));
        const left = await clear().then(
          () => "",
          () => `; the invalid index ${name} is left, and the next call replaces it`,
        );
        if (signal?.aborted) throw aborted(signal, left);
        const state = sqlStateOf(error);
        // 40P01: a concurrent build and another lock waited for each other; the server chose this one.
        if (state !== "55P03" && state !== "40P01") throw applyError(name, error, left);
        if (attempt >= attempts) {
          throw new IndexLockTimeoutError(`index ${name}: the table stayed locked in ${attempt} attempts${left}`, {
            cause: error,
            hint: "Find the long transaction that holds the table, end it, and try again.",
          });
        }
        logger.warn({ index: name, attempt }, "the table is locked; trying again");
        await clock.sleep(retryDelayMs * 2 ** (attempt - 1), signal);
      }
    }
  } finally {
    await session.query("reset lock_timeout").catch(() => undefined);
    await session.query("reset statement_timeout").catch(() => undefined);
  }
}
