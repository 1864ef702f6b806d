import { parseLsn, type Queryable } from "@db/core";
import { BackfillError } from "./errors.ts";

/** The standby that is furthest behind. */
export interface Laggard {
  /** Its application_name. */
  readonly standby: string;
  readonly lagMs: number;
}

interface Note {
  readonly lsn: bigint;
  readonly at: number;
}

interface StandbyRow {
  readonly written: string;
  /** Null while there is no standby. */
  readonly pid: number | null;
  readonly standby: string | null;
  /** Null where the role may not see it. */
  readonly state: string | null;
  readonly replayed: string | null;
  readonly saidMs: number | null;
}

// What is on disk ends with a whole page, and so in the midst of a record, which cannot be replayed before its rest comes.
const slackBytes = 32n * 1024n;

// Only what is on disk is sent. A logical subscriber confirms when it likes to, and a base backup replays nothing: neither is a standby.
const standbysSql = /* sql */ `
  select pg_catalog.pg_current_wal_flush_lsn()::text as written, r.pid, r.application_name as standby, r.state,
         r.replay_lsn::text as replayed, (extract(epoch from r.replay_lag) * 1000)::float8 as "saidMs"
    from (select) as one
    left join pg_catalog.pg_stat_replication r
      on r.state is distinct from 'backup'
     and not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`;

/**
 * How late the standbys replay, told from notes of which WAL position was written when. The server's own replay_lag is
 * null for a standby that has not yet answered for new WAL, however far behind it is, and stays for seconds at what it
 * was once everything is replayed: it counts only for what was written before the first note.
 */
export class ReplicaLag {
  readonly #now: () => number;
  #notes: Note[] = [];
  #first: bigint | null = null;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Asks, and notes the position.
   * @returns null when no standby is connected
   * @throws {BackfillError} when the role may not see what there is
   */
  async ask(session: Queryable): Promise<Laggard | null> {
    const { rows } = await session.query<StandbyRow>(standbysSql);
    const at = this.#now();
    const written = parseLsn(rows[0]?.written ?? "0/0");
    this.#first ??= written;
    if (written > (this.#notes.at(-1)?.lsn ?? -1n)) this.#notes.push({ lsn: written, at });
    let worst: Laggard | null = null;
    let oldest = written;
    for (const { pid, standby, state, replayed, saidMs } of rows) {
      if (pid === null) continue;
      if (state === null) {
        throw new BackfillError("how far the standbys are behind cannot be seen by this role", {
          hint: "Grant pg_read_all_stats to the role, or write max_lag=off to fill without looking.",
        });
      }
      // What receives WAL and replays none, such as pg_receivewal.
      if (replayed === null) continue;
      const lsn = parseLsn(replayed);
      if (lsn < oldest) oldest = lsn;
      const due = this.#notes.find((note) => note.lsn > lsn + slackBytes);
      const noted = due === undefined ? 0 : at - due.at;
      const lagMs = lsn < this.#first ? Math.max(noted, saidMs ?? 0) : noted;
      if (worst === null || lagMs > worst.lagMs) worst = { standby: standby ?? "", lagMs };
    }
    this.#notes = this.#notes.filter(({ lsn }) => lsn > oldest);
    return worst;
  }
}
