import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import copyStreams from "pg-copy-streams";
import type { Engine, SessionOptions } from "./engine.ts";

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
  options: Omit<SessionOptions, "timeoutMs">,
  stack: string | undefined,
): Promise<number> {
  const { target = "primary", signal } = options;
  const { connection, server } = await engine.borrow({ target, signal }, stack);
  const { connections } = server;
  const copy = connection.client.query(copyStreams.from(sql));
  connection.lastStatement = sql;
  try {
    await pipeline(Readable.from(source), copy, signal ? { signal } : {});
    connections.release(connection);
    return copy.rowCount;
  } catch (error) {
    // Where the protocol stands after a broken COPY is not known for sure.
    connections.release(connection, error instanceof Error ? error : true);
    throw error;
  }
}

/** Unloads data by `copy … to stdout`. Leaving the loop early closes the connection, which is what ends a COPY. */
export async function* copyTo(
  engine: Engine,
  sql: string,
  options: Omit<SessionOptions, "timeoutMs">,
  stack: string | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { target = "primary", signal } = options;
  const { connection, server } = await engine.borrow({ target, signal }, stack);
  connection.lastStatement = sql;
  const copy = connection.client.query(copyStreams.to(sql));
  const abort = (): void => void copy.destroy(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  let whole = false;
  try {
    for await (const chunk of copy) yield chunk as Buffer;
    whole = true;
  } finally {
    signal?.removeEventListener("abort", abort);
    if (!whole && connection.busy) await server.statements.cancel(connection);
    server.connections.release(connection, !whole);
  }
}
