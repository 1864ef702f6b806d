import { type Clock, type Logger, messageOf, type Queryable, redactUrls } from "@db/core";
import { toNumber, toText } from "../collector.ts";
import { statementMark } from "../redact.ts";
import type { WaitRing, WaitSample } from "./waits.ts";

// Autovacuum and parallel workers are load too; a session that waits for its client is not.
const sampleSql = (version: number): string => /* sql */ `
  select coalesce(datname::text, '') as datname, coalesce(wait_event_type, 'CPU') as type,
         coalesce(wait_event, '') as event, ${version >= 14 ? "coalesce(query_id::text, '')" : "''"} as query_id,
         count(*)::float8 as sessions
    from pg_catalog.pg_stat_activity
   where pid <> pg_catalog.pg_backend_pid() and state = 'active' and backend_type <> 'walsender'
     and wait_event_type is distinct from 'Client' and wait_event_type is distinct from 'Activity'
   group by 1, 2, 3, 4 ${statementMark}`;

/** Looks every so often at what active sessions of one server wait for. */
export class WaitSampler {
  readonly #db: Queryable;
  readonly #ring: WaitRing;
  readonly #version: () => number | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #busy = false;
  #reason: string | undefined;

  constructor(of: {
    readonly db: Queryable;
    readonly ring: WaitRing;
    /** Major version; undefined while it is not known. */
    readonly version: () => number | undefined;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#db = of.db;
    this.#ring = of.ring;
    this.#version = of.version;
    this.#clock = of.clock;
    this.#logger = of.logger;
  }

  /** Takes one sample. While one is being taken there is no other: a server that hangs is not asked again. */
  async sample(): Promise<void> {
    const version = this.#version();
    if (this.#busy || version === undefined) return;
    this.#busy = true;
    try {
      const { rows } = await this.#db.query<Record<string, unknown>>(sampleSql(version));
      this.#ring.add(this.#clock.now(), rows.map(toSample));
      this.#reason = undefined;
    } catch (error) {
      const reason = redactUrls(messageOf(error));
      if (this.#reason !== reason) this.#logger.debug({ reason }, "active sessions could not be sampled");
      this.#reason = reason;
    } finally {
      this.#busy = false;
    }
  }

  /** Samples until the signal fires. */
  async run(intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(intervalMs, signal);
      } catch {
        return;
      }
      void this.sample();
    }
  }
}

function toSample(row: Record<string, unknown>): WaitSample {
  return {
    database: toText(row["datname"]),
    type: toText(row["type"]),
    event: toText(row["event"]),
    queryId: toText(row["query_id"]),
    sessions: toNumber(row["sessions"]) ?? 0,
  };
}
