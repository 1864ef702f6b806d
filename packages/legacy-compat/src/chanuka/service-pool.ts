import { isConnectionError, isDbError, messageOf, sqlStateOf } from "@db/core";
import { classifyError, TransactionOutcomeUnknownError, TransactionRolledBackError } from "@db/pool";
import type pg from "pg";

/** The pools that `DatabaseService` takes: `pg.Pool`, and the one of `@db/pool`. */
export interface ServicePool {
  connect(): Promise<pg.PoolClient>;
  end(): Promise<void>;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

const serverCodes: ReadonlySet<string> = new Set([
  "POOL_CIRCUIT_OPEN",
  "POOL_CONNECTION_LOST",
  "POOL_CONNECT_TIMEOUT",
  "POOL_NO_PRIMARY",
  "POOL_SERVER_UNRESPONSIVE",
]);

/** How often something is tried again, and how long it waits before. */
export const serviceRetry: { readonly most: number; readonly initialDelayMs: number; readonly maxDelayMs: number } =
  Object.freeze({ most: 3, initialDelayMs: 100, maxDelayMs: 5_000 });
const deepest = 8;

/** The wait before the retry that follows `retries` others: 100 ms, doubling to 5 s. */
export function retryDelayMs(retries: number): number {
  return Math.min(serviceRetry.initialDelayMs * 2 ** retries, serviceRetry.maxDelayMs);
}

/** True when an error speaks of the server or the way to it, and not of the statement. */
export function isServerFailure(thrown: unknown): boolean {
  const error = driverErrorOf(thrown);
  return isDbError(error) ? serverCodes.has(error.code) : classifyError(error).kind === "connection";
}

/** True when the same call may run again: nothing was committed, or twice does no harm. */
export function mayRetry(thrown: unknown, idempotent: boolean): boolean {
  const error = driverErrorOf(thrown);
  if (isDbError(error) && !serverCodes.has(error.code)) return error.retryable;
  if (isDbError(error) && error.retryable) return true;
  const { retry } = classifyError(error);
  return retry === "always" || (idempotent && retry === "idempotent");
}

/** The driver's own error: Drizzle and others put theirs around it. */
function driverErrorOf(thrown: unknown): unknown {
  let error = thrown;
  for (let depth = 0; depth < deepest && error instanceof Error; depth += 1) {
    if (isDbError(error) || sqlStateOf(error) !== undefined || isConnectionError(error)) return error;
    error = error.cause;
  }
  return thrown;
}

/** Runs `use` on one client, which is given back; destroyed when `use` throws an error that `isBroken` finds so. */
export async function withClient<T>(
  pool: ServicePool,
  use: (client: pg.PoolClient) => Promise<T>,
  isBroken: (error: unknown) => boolean,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // A pg pool does not listen to what it lends: a connection that breaks would end the process.
  const onError = (error: Error): void => void (broken ??= error);
  client.on("error", onError);
  try {
    return await use(client);
  } catch (error) {
    if (isBroken(error)) broken ??= error instanceof Error ? error : new Error(messageOf(error));
    throw error;
  } finally {
    client.off("error", onError);
    client.release(broken);
  }
}

/** Runs `use` on one client between BEGIN and COMMIT. */
export async function inTransaction<T>(pool: ServicePool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  let isLeftOpen = false;
  const begun = async (client: pg.PoolClient): Promise<T> => {
    await client.query("begin");
    let result: T;
    try {
      result = await use(client);
    } catch (error) {
      // The first error is the one worth reading.
      await client.query("rollback").catch(() => (isLeftOpen = true));
      throw error;
    }
    await commit(client);
    return result;
  };
  return await withClient(pool, begun, (error) => isLeftOpen || isDbError(error) || classifyError(error).evict);
}

async function commit(client: pg.PoolClient): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query("commit"));
  } catch (error) {
    if (classifyError(error, { phase: "commit" }).kind !== "unknown-outcome") throw error;
    throw new TransactionOutcomeUnknownError({ server: "the primary", cause: error });
  }
  // A transaction with a failed statement answers COMMIT with ROLLBACK, without an error.
  if (command === "ROLLBACK") throw new TransactionRolledBackError();
}

/** Closes a pool, and waits at most 10 s where it lets itself be bounded. */
export async function closePool(pool: ServicePool): Promise<void> {
  const { drain } = pool as { drain?: unknown };
  if (typeof drain === "function") await (drain.call(pool) as Promise<unknown>);
  else if ((pool as { ending?: boolean }).ending !== true) await pool.end();
}
