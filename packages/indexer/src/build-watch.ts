import { type Database, type DatabaseLike, type OnProgress, toDatabase } from "@db/core";

/** Looks at a build from another session while it runs. */
export interface BuildWatch {
  /** Ends the watch; a cancellation under way is waited for, a second at most, so that it hits nothing later. */
  stop(): Promise<void>;
}

const progressSql = /* sql */ `
  select phase, coalesce(nullif(blocks_total, 0), tuples_total)::float8 as total,
         case when blocks_total > 0 then blocks_done else tuples_done end::float8 as current
    from pg_catalog.pg_stat_progress_create_index where pid = $1`;

const cancelSql = "select pg_catalog.pg_cancel_backend($1) where $1 <> pg_catalog.pg_backend_pid()";

/** Tells the progress of the build in `backend`, and cancels it when `signal` fires; a lone client can do neither. */
export function watchBuild(
  db: DatabaseLike,
  backend: number,
  onProgress: OnProgress,
  signal: AbortSignal | undefined,
): BuildWatch {
  const lone = !("totalCount" in db) && !("withSession" in db);
  if (lone) return { stop: async () => undefined };
  const database = toDatabase(db);
  let ended = false;
  let looking = false;
  let cancelling: Promise<unknown> | undefined;
  const look = async (): Promise<void> => {
    try {
      const progress = await readProgress(database, backend);
      if (progress !== undefined && !ended) onProgress(progress);
    } catch {
      // Progress is a courtesy: the build goes on without it.
    }
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  }, 250);
  timer.unref();
  const cancel = (): void => {
    cancelling = database.query(cancelSql, [backend]).catch(() => undefined);
  };
  signal?.addEventListener("abort", cancel, { once: true });
  return {
    async stop(): Promise<void> {
      ended = true;
      clearInterval(timer);
      signal?.removeEventListener("abort", cancel);
      if (cancelling !== undefined) await Promise.race([cancelling, oneSecond()]);
    },
  };
}

async function readProgress(database: Database, backend: number): Promise<Parameters<OnProgress>[0] | undefined> {
  const { rows } = await database.query<{ phase: string; total: number; current: number }>(progressSql, [backend]);
  const row = rows[0];
  if (row === undefined) return undefined;
  return { phase: row.phase, current: row.current, ...(row.total > 0 ? { total: row.total } : {}), unit: "steps" };
}

function oneSecond(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1_000).unref();
  });
}
