import { tracingChannel, type TracingChannel } from "node:diagnostics_channel";
import type { Target } from "./routing.ts";
import { loggable } from "./sql-text.ts";
import { statementText, type Statement } from "./statement.ts";

/** One statement through the pool's own calls, from the call to its answer, with its retries. */
export interface QueryTrace {
  /** Its text, literals replaced by `?`. */
  readonly statement: string;
  readonly target: Target;
  /** On success: rows returned or affected. */
  rowCount?: number | null;
  /** Set by the channel when it failed. */
  error?: unknown;
}

/** One connection lent to a client, a session or a transaction. */
export interface AcquireTrace {
  readonly server: string;
  error?: unknown;
}

/** One connection made: look-up, TCP, TLS, authentication, hooks. */
export interface ConnectTrace {
  readonly server: string;
  error?: unknown;
}

/**
 * The names for `diagnostics_channel.tracingChannel(name)`, which has `start`, `end`, `asyncStart`, `asyncEnd` and `error`.
 * Nobody subscribed, they cost one look.
 * @see https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel
 */
export const poolChannels: Readonly<Record<"query" | "acquire" | "connect", string>> = Object.freeze({
  query: "db.pool.query",
  acquire: "db.pool.acquire",
  connect: "db.pool.connect",
});

const queries = tracingChannel<QueryTrace>(poolChannels.query);
const acquires = tracingChannel<AcquireTrace>(poolChannels.acquire);
const connects = tracingChannel<ConnectTrace>(poolChannels.connect);

export function traceQuery<T extends { rowCount: number | null }>(
  statement: Statement,
  target: Target,
  work: () => Promise<T>,
): Promise<T> {
  if (!queries.hasSubscribers) return work();
  const text = statementText(statement.config);
  const trace: QueryTrace = { statement: loggable(text), target };
  return queries.tracePromise(async () => {
    const result = await work();
    // Several statements in one text answer with a list.
    if (!Array.isArray(result)) trace.rowCount = result.rowCount;
    return result;
  }, trace);
}

export function traceAcquire<T>(server: string, work: () => Promise<T>): Promise<T> {
  return traced(acquires, server, work);
}

export function traceConnect<T>(server: string, work: () => Promise<T>): Promise<T> {
  return traced(connects, server, work);
}

function traced<T>(channel: TracingChannel<AcquireTrace>, server: string, work: () => Promise<T>): Promise<T> {
  return channel.hasSubscribers ? channel.tracePromise(work, { server }) : work();
}
