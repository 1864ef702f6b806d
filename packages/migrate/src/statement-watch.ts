import type { Database, DatabaseLike, Queryable } from "@db/core";
import type { ResolvedApplyOptions } from "./options.ts";
import { strongestLocks, type TableLock } from "./table-lock.ts";

const pollMs = 250;

/** What the server says of a statement that is running. */
interface Sight {
  readonly waiting: boolean;
  readonly blockedBy: readonly number[];
  readonly phase: string | null;
  readonly unit: "blocks" | "rows";
  readonly done: number | null;
  readonly total: number | null;
  readonly blockBytes: number;
  readonly locks: readonly { readonly relation: string; readonly mode: string }[] | null;
}

// The view of ANALYZE came with PostgreSQL 13.
const sightSql = (version: number): string => /* sql */ `
  select coalesce(a.wait_event_type = 'Lock', false) as waiting, pg_blocking_pids(a.pid) as "blockedBy",
         p.phase, p.unit, p.done::float8 as done, p.total::float8 as total,
         current_setting('block_size')::int as "blockBytes",
         (select json_agg(json_build_object('relation', n.nspname || '.' || c.relname, 'mode', l.mode))
            from pg_catalog.pg_locks l
            join pg_catalog.pg_class c on c.oid = l.relation
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where l.pid = a.pid and l.granted and l.locktype = 'relation' and c.relkind in ('r', 'p', 'm', 'v', 'f')
             and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
             and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())) as locks
    from pg_catalog.pg_stat_activity a
    left join lateral (
      select phase, case when blocks_total > 0 then 'blocks' else 'rows' end as unit,
             case when blocks_total > 0 then blocks_done else tuples_done end as done,
             case when blocks_total > 0 then blocks_total else tuples_total end as total
        from pg_catalog.pg_stat_progress_create_index where pid = a.pid
      union all
      select phase, 'blocks', heap_blks_scanned, heap_blks_total
        from pg_catalog.pg_stat_progress_vacuum where pid = a.pid
      union all
      select phase, 'blocks', heap_blks_scanned, heap_blks_total
        from pg_catalog.pg_stat_progress_cluster where pid = a.pid${
          version < 130_000
            ? ""
            : `
      union all
      select phase, 'blocks', sample_blks_scanned, sample_blks_total
        from pg_catalog.pg_stat_progress_analyze where pid = a.pid`
        }) p on true
   where a.pid = $1`;

/** What was seen of a statement. */
export interface SeenStatement {
  /** How long it was seen waiting for a lock; null when nobody could look. */
  readonly waitedMs: number | null;
  /** The locks on tables that its transaction held when it was last looked at; null when it was too short for that. */
  readonly locks: readonly TableLock[] | null;
}

/** Looks at a statement from a second session while it runs. */
export interface StatementWatcher {
  /** @returns what ends the watch, and says what was seen */
  watch(file: string, statement: number): () => SeenStatement;
}

const nothingSeen: SeenStatement = Object.freeze({ waitedMs: null, locks: null });

/** Watches nothing: there is one session only, or the statements may come to any server process. */
export const noWatcher: StatementWatcher = { watch: () => () => nothingSeen };

const cancelSql = "select pg_catalog.pg_cancel_backend($1)";

/** Watches a server process through other sessions of a pool, and cancels its statement on abort. */
export function watchProcess(
  db: Queryable,
  { pid, version }: { readonly pid: number; readonly version: number },
  { onEvent, onProgress, signal }: Pick<ResolvedApplyOptions, "onEvent" | "onProgress" | "signal">,
): StatementWatcher {
  const sql = sightSql(version);
  return {
    watch(file, statement) {
      let waitedMs = 0;
      let locks: readonly TableLock[] | null = null;
      let busy = false;
      const look = async (): Promise<void> => {
        const { rows } = await db.query<Sight>(sql, [pid]);
        const [sight] = rows;
        if (sight?.locks) locks = [...strongestLocks(sight.locks)].map(([relation, mode]) => ({ relation, mode }));
        if (sight?.waiting) {
          waitedMs += pollMs;
          const { blockedBy } = sight;
          onEvent({ type: "statement-waiting", file, statement, waitedMs, blockedBy });
          const whose = blockedBy.length === 0 ? "a lock" : `server process ${blockedBy.join(", ")}`;
          onProgress({
            phase: "statement",
            current: statement,
            unit: "steps",
            message: `${file}, waiting for ${whose}`,
          });
        } else if (sight && sight.phase !== null) {
          const { phase, unit, done, total, blockBytes } = sight;
          onEvent({ type: "statement-progress", file, statement, phase, unit, done, total });
          const size = unit === "blocks" ? blockBytes : 1;
          onProgress({
            phase: `statement: ${phase}`,
            current: (done ?? 0) * size,
            ...(total === null || total === 0 ? {} : { total: total * size }),
            unit: unit === "blocks" ? "bytes" : "rows",
            message: `${file}, ${phase}`,
          });
        }
      };
      const timer = setInterval(() => {
        if (busy) return;
        busy = true;
        // What cannot be looked at is not told; the statement itself is none the worse for it.
        void look()
          .catch(() => undefined)
          .finally(() => (busy = false));
      }, pollMs);
      timer.unref();
      // Left alone it would go on after its runner is gone, and hold the migration lock to its end.
      const cancel = (): void => void db.query(cancelSql, [pid]).catch(() => undefined);
      signal.addEventListener("abort", cancel, { once: true });
      return () => {
        clearInterval(timer);
        signal.removeEventListener("abort", cancel);
        return { waitedMs, locks };
      };
    },
  };
}

/** Whether a database has more sessions than the one that is pinned. */
export function hasMoreSessions(db: DatabaseLike): boolean {
  if ("totalCount" in db) return ((db as { readonly options?: { readonly max?: number } }).options?.max ?? 10) > 1;
  return typeof (db as Partial<Database>).withSession === "function";
}
