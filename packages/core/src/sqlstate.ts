/**
 * SQLSTATE sets by the decision a caller makes.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */

/** The server guarantees nothing was committed: serialization failure, deadlock, lock not available, object in use. */
export const transientSqlStates: ReadonlySet<string> = new Set(["40001", "40P01", "55P03", "55006"]);

/** The server is starting, stopping or full; another attempt later may connect. */
export const unavailableSqlStates: ReadonlySet<string> = new Set([
  "57P01",
  "57P02",
  "57P03",
  "57P05",
  "53300",
  "53400",
]);

/** The server answers but is not the one that may write: read-only transaction, recovery in progress. */
export const wrongRoleSqlStates: ReadonlySet<string> = new Set(["25006"]);

/** The credentials or the right to connect are wrong. */
export const authenticationSqlStates: ReadonlySet<string> = new Set(["28000", "28P01"]);

/** A right on an object is missing. */
export const permissionSqlStates: ReadonlySet<string> = new Set(["42501"]);

/** What Node says when a connection could not be made or was lost. */
export const connectionErrorCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
]);

/** The five-character SQLSTATE of a driver error, or undefined where there is none. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !connectionErrorCodes.has(code) ? code : undefined;
}

/** True when the connection, not the statement, is what failed: class 08, a shutdown, or a socket error. */
export function isConnectionError(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return state.startsWith("08") || unavailableSqlStates.has(state);
  const code = (error as { code?: unknown } | null | undefined)?.code;
  // A socket that is not there, not a file.
  if (code === "ENOENT") return (error as { syscall?: unknown }).syscall === "connect";
  if (typeof code === "string" && connectionErrorCodes.has(code)) return true;
  // pg gives no code for these two.
  return (
    error instanceof Error &&
    /^(Connection terminated|timeout expired|Client has encountered a connection error)/.test(error.message)
  );
}
