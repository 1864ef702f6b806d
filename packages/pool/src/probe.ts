import { messageOf, sqlStateOf } from "@db/core";
import type pg from "pg";
import { connectClient } from "./connect.ts";
import type { Observation } from "./observation.ts";
import type { ServerSpec } from "./server-spec.ts";

/** A probe's outcome: what the server said, or why there is no answer. */
export type ProbeOutcome =
  | { readonly observation: Observation }
  | {
      /** `refused`: it said no at once. `silent`: it said nothing in time. `error`: it answers, but not this. */
      readonly failure: "refused" | "silent" | "error";
      readonly reason: string;
    };

// pg_control_checkpoint() lags behind a promotion until the next checkpoint, so a primary's timeline comes from the
// name of the segment it writes, and a standby's from what it receives, where the role may see that.
const probeSql = /* sql */ `
  select pg_is_in_recovery() as "inRecovery",
         current_setting('default_transaction_read_only') = 'on' as "readOnly",
         current_setting('server_version_num')::int as "serverVersion",
         (select system_identifier::text from pg_catalog.pg_control_system()) as "systemIdentifier",
         case when pg_is_in_recovery()
              then (select greatest(timeline_id, (select received_tli from pg_catalog.pg_stat_get_wal_receiver()))
                      from pg_catalog.pg_control_checkpoint())
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
         case when pg_is_in_recovery()
              then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text as lsn`;

// For servers that hide their control file or their WAL, as some hosted ones do.
const plainProbeSql = /* sql */ `
  select pg_is_in_recovery() as "inRecovery", current_setting('server_version_num')::int as "serverVersion",
         current_setting('default_transaction_read_only') = 'on' as "readOnly"`;

/** However long a connection may take by configuration, a probe does not wait longer. */
const longestConnectMs = 30_000;

/** Asks one server how it is, on a connection of its own that keeps no process alive. */
export class Probe {
  readonly #spec: ServerSpec;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  /** How long the last connection took to make. */
  #connectMs: number | undefined;
  #client: pg.Client | undefined;
  #sql = probeSql;
  #running: Promise<ProbeOutcome> | undefined;
  #ended = false;
  /** Resolves at the end. Nothing else does for a probe that was connecting: its timer keeps no process alive. */
  readonly #over = Promise.withResolvers<"silent">();

  /**
   * @param bounds milliseconds: for an answer on a connection that is there, and for the first connection. Later ones
   * may take three times as long as the last, so that a server that froze is known soon.
   */
  constructor(spec: ServerSpec, bounds: { readonly timeoutMs: number; readonly connectTimeoutMs: number }) {
    this.#spec = spec;
    this.#timeoutMs = bounds.timeoutMs;
    this.#connectTimeoutMs = Math.min(bounds.connectTimeoutMs, longestConnectMs);
  }

  /** Runs a probe, or joins the one that runs. Never rejects. */
  run(): Promise<ProbeOutcome> {
    this.#running ??= this.#attempt().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#drop();
    this.#over.resolve("silent");
    await this.#running;
  }

  async #attempt(): Promise<ProbeOutcome> {
    if (this.#ended) return { failure: "silent", reason: "the probe has ended" };
    const started = performance.now();
    const timeoutMs = this.#boundMs();
    const deadline = Promise.withResolvers<"silent">();
    const timer = setTimeout(() => {
      // Answers that arrived while our own event loop was busy are read first: their silence is ours.
      setImmediate(() => setImmediate(() => deadline.resolve("silent")));
    }, timeoutMs).unref();
    try {
      const answer = this.#ask();
      answer.catch(() => undefined);
      const row = await Promise.race([answer, deadline.promise, this.#over.promise]);
      if (row !== "silent") {
        return { observation: { ...row, at: Date.now(), tookMs: performance.now() - started } };
      }
      this.#drop();
      return { failure: "silent", reason: `no answer within ${Math.round(timeoutMs)} ms` };
    } catch (error) {
      this.#drop();
      const code = sqlStateOf(error) ?? (error as { code?: unknown }).code;
      const refused = code === undefined || typeof code !== "string" || !/^(28|3D|42|53)/.test(code);
      return { failure: refused ? "refused" : "error", reason: messageOf(error) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Longest wait for an answer. Connecting takes several times the way there and back. */
  #boundMs(): number {
    if (this.#client) return this.#timeoutMs;
    const connectMs = this.#connectMs === undefined ? this.#connectTimeoutMs : this.#connectMs * 3;
    return Math.max(this.#timeoutMs, Math.min(connectMs, this.#connectTimeoutMs));
  }

  async #ask(): Promise<Omit<Observation, "at" | "tookMs">> {
    const kept = this.#client;
    if (kept) {
      try {
        return await readRow(kept, this.#sql);
      } catch (error) {
        // The kept connection may have been closed while idle: only a new one tells about the server.
        if (sqlStateOf(error)?.startsWith("57") === false) throw error;
        this.#drop();
      }
    }
    const client = await this.#connect();
    try {
      return await readRow(client, this.#sql);
    } catch (error) {
      if (this.#sql === plainProbeSql || !/^(0A|42|55)/.test(sqlStateOf(error) ?? "")) throw error;
      this.#sql = plainProbeSql;
      return await readRow(client, plainProbeSql);
    }
  }

  async #connect(): Promise<pg.Client> {
    const began = performance.now();
    const client = await connectClient(this.#spec, (made) => {
      if (this.#ended) throw new Error("the probe has ended");
      made.on("error", () => this.#client === made && this.#drop());
      this.#client = made;
      // Unreferenced before it connects, so that a pool which was never ended lets the process end.
      made.connection.stream.once("connect", () => (made.connection as unknown as { unref(): void }).unref());
    });
    this.#connectMs = performance.now() - began;
    (client.connection as unknown as { unref(): void }).unref();
    if (this.#ended) this.#drop();
    return client;
  }

  #drop(): void {
    this.#client?.connection.stream.destroy();
    this.#client = undefined;
  }
}

async function readRow(client: pg.Client, sql: string): Promise<Omit<Observation, "at" | "tookMs">> {
  const { rows } = await client.query<Record<keyof Observation, never>>(sql);
  const { inRecovery, readOnly, serverVersion, systemIdentifier, timeline, lsn } = rows[0]!;
  return {
    inRecovery,
    readOnly,
    serverVersion,
    systemIdentifier: systemIdentifier ?? undefined,
    timeline: timeline ?? undefined,
    lsn: lsn ?? undefined,
  };
}
