import { AbortedError } from "@db/core";
import Cursor from "pg-cursor";
import type { Engine, SessionOptions } from "./engine.ts";
import { classifyError } from "./classify.ts";
import { stoppable } from "./statement.ts";

/** How rows are streamed. */
export interface StreamOptions extends SessionOptions {
  /** Rows fetched at a time. Default 1 000. `timeoutMs` bounds each fetch. */
  readonly batchSize?: number;
}

/**
 * Reads a result row by row through a cursor of the protocol, holding one connection and one batch in memory. Leaving
 * the loop early closes the cursor and gives the connection back.
 */
export async function* streamRows<Row extends object>(
  engine: Engine,
  text: string,
  values: readonly unknown[] | undefined,
  options: StreamOptions,
  stack: string | undefined,
): AsyncGenerator<Row, void, undefined> {
  const {
    target = engine.options.route.target,
    signal,
    timeoutMs = engine.options.queryTimeoutMs,
    batchSize = 1_000,
  } = options;
  const { connection, server } = await engine.borrow({ target, signal, priority: options.priority }, stack);
  if (signal?.aborted) {
    server.connections.release(connection);
    throw new AbortedError("aborted before the statement was sent", { cause: signal.reason });
  }
  const cursor = connection.client.query(new Cursor<Row>(text, values ? [...values] : []));
  connection.lastStatement = text;
  let broken: unknown;
  let failed = false;
  try {
    for (;;) {
      const reading = cursor.read(batchSize);
      // A cursor that failed has ended itself: who closed it then might wait for an answer that came already.
      reading.catch(() => (failed = true));
      const rows = await stoppable(reading, connection, { signal, timeoutMs }, server.statements);
      yield* rows;
      // A short batch is the last one.
      if (rows.length < batchSize) return;
    }
  } catch (error) {
    if (classifyError(error).evict) broken = error;
    throw error;
  } finally {
    if (connection.usable && !failed) await cursor.close().catch(() => connection.destroySocket());
    server.connections.release(connection, broken instanceof Error ? broken : !connection.usable);
  }
}
