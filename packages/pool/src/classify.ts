import { connectionErrorCodes, isConnectionError, isDbError, sqlStateOf } from "@db/core";
import type { StatementPhase } from "./errors.ts";

/** What an error means for the statement, the connection and another attempt. */
export interface ErrorClass {
  readonly kind: "transient" | "connection" | "wrong-role" | "stale-plan" | "unknown-outcome" | "permanent";
  /** `always`: nothing was committed. `idempotent`: only where running twice does no harm. */
  readonly retry: "always" | "idempotent" | "never";
  /** True when the connection must not be used again. */
  readonly evict: boolean;
  readonly sqlState?: string;
}

/** What is known about the statement beside its error. */
export interface ErrorContext {
  /** Default `sent`, the careful answer. */
  readonly phase?: StatementPhase;
  /** One statement that cannot commit by itself half-way: no procedure call, no several statements in one text. */
  readonly singleStatement?: boolean;
}

/** The server committed nothing: serialization failure, deadlock, lock not available, object in use. */
const transientStates: ReadonlySet<string> = new Set(["40001", "40P01", "55P03", "55006"]);
/** The server said it ends this connection, between statements or by aborting the running one. */
const terminatedStates: ReadonlySet<string> = new Set(["57P01", "57P05", "25P03"]);
/** Starting up, full: seen while connecting. */
const refusedStates: ReadonlySet<string> = new Set(["57P03", "53300"]);
/** Prepared plan or statement is gone or stale. */
const stalePlanStates: ReadonlySet<string> = new Set(["26000", "42P05"]);
/** Out of memory, disk full, I/O error: the work may have been undone or not. */
const resourceStates: ReadonlySet<string> = new Set(["53000", "53100", "53200", "53400", "58000", "58030"]);
/** The connection cannot be trusted afterwards: protocol violation, internal errors, authentication. */
const evictingStates: ReadonlySet<string> = new Set(["08P01", "XX000", "XX001", "XX002", "28000", "28P01"]);
const lostCodes: ReadonlySet<string> = new Set([
  "POOL_CONNECTION_LOST",
  "POOL_CONNECT_TIMEOUT",
  "POOL_SERVER_UNRESPONSIVE",
]);

/**
 * Says what to do about an error, by SQLSTATE and by how far the statement came.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function classifyError(error: unknown, context: ErrorContext = {}): ErrorClass {
  const phase = context.phase ?? "sent";
  if (isDbError(error) && !lostCodes.has(error.code)) return permanent(false);
  const sqlState = sqlStateOf(error);
  if (phase === "commit" && (sqlState === undefined ? isLost(error) : endsCommitUnknown(sqlState))) {
    return { kind: "unknown-outcome", retry: "never", evict: true, ...(sqlState === undefined ? {} : { sqlState }) };
  }
  if (sqlState === undefined) {
    return isLost(error) ? { kind: "connection", retry: retryOfLost(error, phase), evict: true } : permanent(false);
  }
  if (transientStates.has(sqlState)) return { kind: "transient", retry: "always", evict: false, sqlState };
  if (refusedStates.has(sqlState)) return { kind: "connection", retry: "always", evict: true, sqlState };
  if (isWrongRole(error, sqlState)) return { kind: "wrong-role", retry: "always", evict: true, sqlState };
  if (stalePlanStates.has(sqlState) || isStalePlan(error, sqlState)) {
    // The plan lives in the connection: a fresh one prepares it anew.
    return { kind: "stale-plan", retry: "always", evict: true, sqlState };
  }
  if (terminatedStates.has(sqlState)) {
    const undone = phase !== "completed" && (context.singleStatement ?? false);
    return { kind: "connection", retry: undone || neverSent(phase) ? "always" : "idempotent", evict: true, sqlState };
  }
  if (sqlState === "40003" || sqlState === "08007") {
    return { kind: "unknown-outcome", retry: "never", evict: true, sqlState };
  }
  if (sqlState.startsWith("57P") || (sqlState.startsWith("08") && sqlState !== "08P01")) {
    return { kind: "connection", retry: neverSent(phase) ? "always" : "idempotent", evict: true, sqlState };
  }
  if (resourceStates.has(sqlState)) return { kind: "transient", retry: "idempotent", evict: true, sqlState };
  return { ...permanent(evictingStates.has(sqlState)), sqlState };
}

/** True for errors that speak of the server or the way to it, never of the statement: the only ones a breaker counts. */
export function isInfrastructureError(error: unknown): boolean {
  if (isDbError(error)) return lostCodes.has(error.code);
  return classifyError(error).kind === "connection";
}

function isLost(error: unknown): boolean {
  return isDbError(error) ? lostCodes.has(error.code) : isConnectionError(error) || isDriverClosed(error);
}

/** pg's own words for a connection that is gone, or that sent what is no message; it gives them no code. */
export function isDriverClosed(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^(Client was closed|Client has encountered|Connection terminated|received invalid response)/.test(error.message)
  );
}

function retryOfLost(error: unknown, phase: StatementPhase): ErrorClass["retry"] {
  // A transaction that outlasts its bound would do so again.
  if (isDbError(error) && sqlStateOf(error.cause) === "25P04") return "never";
  if (isDbError(error, "POOL_CONNECTION_LOST")) return error.retryable ? "always" : "idempotent";
  if (isDbError(error, "POOL_CONNECT_TIMEOUT") || neverSent(phase)) return "always";
  const code = (error as { code?: unknown }).code;
  // These can only come from connecting: nothing had been sent.
  const connecting = typeof code === "string" && connectionErrorCodes.has(code) && !/RESET|PIPE|TIMEDOUT/.test(code);
  return connecting ? "always" : "idempotent";
}

function neverSent(phase: StatementPhase): boolean {
  return phase === "connect" || phase === "unsent";
}

function endsCommitUnknown(sqlState: string): boolean {
  return (
    sqlState === "40003" || sqlState.startsWith("08") || sqlState.startsWith("57P") || terminatedStates.has(sqlState)
  );
}

/** The text of these messages is in English only where `lc_messages` is; the SQLSTATE alone says enough for 25006. */
function isWrongRole(error: unknown, sqlState: string): boolean {
  return sqlState === "25006" || (sqlState === "55000" && /recovery is in progress/.test(messageText(error)));
}

function isStalePlan(error: unknown, sqlState: string): boolean {
  return sqlState === "0A000" && /cached plan must not change/.test(messageText(error));
}

function messageText(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

function permanent(evict: boolean): ErrorClass {
  return { kind: "permanent", retry: "never", evict };
}
