import { AbortedError } from "@db/core";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import copyStreams from "pg-copy-streams";
import { Deadline } from "./deadline.ts";
import type { Engine, SessionOptions } from "./engine.ts";
import { QueryTimeoutError } from "./errors.ts";

/** What COPY reads from: text or bytes in the format its statement names, in pieces of any size. */
export type CopySource = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/**
 * Loads data by `copy … from stdin`, as fast as PostgreSQL takes it: a source faster than the server is held back.
 * All rows or none. Never retried, since the source can be read only once.
 * @returns how many rows were loaded
 */
export async function copyFrom(
  engine: Engine,
  sql: string,
  source: CopySource,
  options: SessionOptions,
  stack: string | undefined,
): Promise<number> {
  const { target = engine.options.route.target } = options;
  using bound = boundOf(engine, options);
  const { signal } = bound;
  const { connection, server } = await engine.borrow({ target, signal, priority: options.priority }, stack);
  const copy = connection.client.query(copyStreams.from(sql));
  connection.lastStatement = sql;
  const giveUp = Promise.withResolvers<never>();
  giveUp.promise.catch(() => undefined);
  let cancelling: Promise<void> | undefined;
  const abort = (): void => {
    // The server too is told: one that waits for a lock does not look at what the client sends.
    cancelling = server.statements.cancel(connection);
    giveUp.reject(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const loading = pipeline(Readable.from(source), copy);
    // A source that hangs never lets the pipeline end: it is not waited for.
    await Promise.race([loading, giveUp.promise]);
    await engine.whole?.learn(connection, server);
    server.connections.release(connection);
    return copy.rowCount;
  } catch (error) {
    copy.destroy();
    await cancelling;
    // Where the protocol stands after a broken COPY is not known for sure.
    server.connections.release(connection, error instanceof Error ? error : true);
    throw signal?.aborted ? stopped(bound, options, error) : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Unloads data by `copy … to stdout`. Leaving the loop early closes the connection, which is what ends a COPY. */
export async function* copyTo(
  engine: Engine,
  sql: string,
  options: SessionOptions,
  stack: string | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { target = engine.options.route.target } = options;
  using bound = boundOf(engine, options);
  const { signal } = bound;
  const { connection, server } = await engine.borrow({ target, signal, priority: options.priority }, stack);
  connection.lastStatement = sql;
  const copy = connection.client.query(copyStreams.to(sql));
  const abort = (): void => void copy.destroy(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  let whole = false;
  try {
    for await (const chunk of copy) yield chunk as Buffer;
    whole = true;
  } catch (error) {
    throw signal?.aborted ? stopped(bound, options, error) : error;
  } finally {
    signal?.removeEventListener("abort", abort);
    if (!whole && connection.busy) await server.statements.cancel(connection);
    server.connections.release(connection, !whole);
  }
}

function boundOf(engine: Engine, { signal, timeoutMs = engine.options.queryTimeoutMs }: SessionOptions): Deadline {
  return new Deadline("the copy", { signal, timeoutMs });
}

function stopped(bound: Deadline, { timeoutMs }: SessionOptions, cause: unknown): Error {
  if (bound.expired) return new QueryTimeoutError({ timeoutMs: Number(timeoutMs ?? 0), cancelled: true, cause });
  return new AbortedError("aborted, cancelled on the server", { cause: bound.signal?.reason });
}
