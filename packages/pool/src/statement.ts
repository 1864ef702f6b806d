import { AbortedError, isConnectionError, isDbError, sqlStateOf } from "@db/core";
import type pg from "pg";
import { classifyError, isDriverClosed } from "./classify.ts";
import type { Connection } from "./connection.ts";
import { ConnectionLostError, QueryTimeoutError } from "./errors.ts";
import { isSingleQuery } from "./sql-text.ts";
import type { Priority } from "./wait-queue.ts";

/** One statement on its way to a server. */
export interface Statement {
  readonly config: string | pg.QueryConfig<unknown[]> | pg.QueryArrayConfig<unknown[]>;
  readonly values: readonly unknown[] | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | false;
  /** Its place among those who wait for a connection. */
  readonly priority?: Priority | undefined;
  /** False keeps it from being prepared. */
  readonly prepare?: boolean | undefined;
  /** Its text without the tags that change from use to use; such a statement is neither prepared nor shared. */
  readonly untagged?: string;
}

/** What is no text is for pg to refuse. */
export function statementText(config: Statement["config"]): string {
  const text: unknown = typeof config === "string" ? config : config.text;
  return typeof text === "string" ? text : "";
}

/** What running a statement needs from its surroundings. */
export interface StatementHost {
  readonly cancelTimeoutMs: number;
  /** Asks the server to cancel; resolves when it took note. */
  cancel(connection: Connection): Promise<void>;
  finished(of: { text: string; durationMs: number; server: string; failed: boolean }): void;
  stopped(why: "timeout" | "abort"): void;
}

/**
 * Runs a statement on a connection the caller holds. At its bound or when its signal fires, the statement is
 * cancelled on the server; a server that does not confirm within `cancelTimeoutMs` costs the connection.
 *
 * A statement that completed although it was asked to stop returns its result: it took effect.
 * @throws the server's error as it is, {@link ConnectionLostError}, {@link QueryTimeoutError} or {@link AbortedError}
 */
export async function runStatement(
  connection: Connection,
  statement: Statement,
  host: StatementHost,
): Promise<pg.QueryResult> {
  const { config, values, signal, timeoutMs } = statement;
  if (signal?.aborted) throw new AbortedError("aborted before the statement was sent", { cause: signal.reason });
  const text = statementText(config);
  const started = performance.now();
  connection.lastStatement = text;
  connection.phase = connection.usable ? "sent" : "unsent";
  let failed = true;
  try {
    const running = connection.client.query(config as pg.QueryConfig<unknown[]>, values as unknown[] | undefined);
    const result =
      timeoutMs === false && !signal ? await running : await stoppable(running, connection, statement, host);
    failed = false;
    return result;
  } catch (error) {
    throw explain(error, connection);
  } finally {
    host.finished({ text, durationMs: performance.now() - started, server: connection.server, failed });
  }
}

/** How an error of this statement on this connection is to be treated. */
export function classifyStatementError(
  error: unknown,
  connection: (Pick<Connection, "phase"> & { readonly extended?: boolean }) | undefined,
  statement: Statement,
): ReturnType<typeof classifyError> {
  const { config, values } = statement;
  const text = statementText(config);
  const parameters = values?.length ?? (typeof config === "string" ? 0 : (config.values?.length ?? 0));
  const extended = connection?.extended ?? parameters > 0;
  const phase = connection?.phase ?? "connect";
  // In the extended protocol, an end of the session that comes before BindComplete proves that nothing ran.
  const ended = extended && phase === "sent" && sqlStateOf(error) !== "57P02" && sqlStateOf(error) !== undefined;
  return classifyError(error, { phase: ended ? "unsent" : phase, singleStatement: isSingleQuery(text) });
}

/** A cancel is asked for again after this long without an answer. */
export const repeatCancelMs = 250;

/** Waits for what runs on a connection, and cancels it on the server at its bound or when its signal fires. */
export async function stoppable<T>(
  running: Promise<T>,
  connection: Connection,
  { signal, timeoutMs }: Pick<Statement, "signal" | "timeoutMs">,
  host: StatementHost,
): Promise<T> {
  let why: "timeout" | "abort" | undefined;
  let cancelling: Promise<unknown> | undefined;
  let repetition: NodeJS.Timeout | undefined;
  let escalation: NodeJS.Timeout | undefined;
  const stop = (reason: "timeout" | "abort"): void => {
    if (why !== undefined) return;
    why = reason;
    host.stopped(reason);
    escalation = setTimeout(() => connection.destroySocket(), host.cancelTimeoutMs);
    cancelling = host.cancel(connection);
    // One that overtook the statement it was meant for found nothing to cancel.
    repetition = setInterval(() => {
      cancelling = Promise.all([cancelling, host.cancel(connection)]);
    }, repeatCancelMs);
  };
  const abort = (): void => stop("abort");
  const timer =
    timeoutMs === false || timeoutMs === Infinity ? undefined : setTimeout(() => stop("timeout"), timeoutMs);
  if (signal?.aborted) stop("abort");
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await running;
  } catch (error) {
    const cancelled = sqlStateOf(error) === "57014";
    if (why === undefined || (!cancelled && !isConnectionError(error))) throw error;
    if (why === "timeout") throw new QueryTimeoutError({ timeoutMs: timeoutMs as number, cancelled, cause: error });
    throw new AbortedError(`aborted, ${cancelled ? "cancelled on the server" : "the server did not confirm"}`, {
      cause: signal?.reason,
    });
  } finally {
    clearTimeout(timer);
    clearTimeout(escalation);
    clearInterval(repetition);
    signal?.removeEventListener("abort", abort);
    // A late cancel would hit the next statement of this backend: wait until the server has taken note.
    await cancelling;
  }
}

/** Gives an error of the driver the facts it lacks: which server, and how far the statement came. */
export function explain(
  error: unknown,
  { server, phase, brokenBy }: Pick<Connection, "server" | "phase" | "brokenBy">,
): unknown {
  if (isDbError(error) || sqlStateOf(error) !== undefined) return error;
  if (!isConnectionError(error) && !isDriverClosed(error)) return error;
  return new ConnectionLostError({ server, phase, cause: brokenBy ?? error });
}
