import { AssertionError } from "node:assert";
import {
  adviseOnConnection,
  authenticationSqlStates,
  type Finding,
  isConnectionError,
  isDbError,
  sqlStateOf,
} from "@db/core";

/** What the process says with its exit code. Documented in the README; a number never changes its meaning. */
export const exitCode: Readonly<
  Record<
    | "ok"
    | "failure"
    | "usage"
    | "findingsWarn"
    | "findingsCritical"
    | "notConfirmed"
    | "cannotConnect"
    | "timeoutOrLocked"
    | "partlyDone"
    | "interrupted"
    | "terminated",
    number
  >
> = Object.freeze({
  ok: 0,
  failure: 1,
  usage: 2,
  findingsWarn: 3,
  findingsCritical: 4,
  notConfirmed: 5,
  cannotConnect: 6,
  timeoutOrLocked: 7,
  partlyDone: 8,
  interrupted: 130,
  terminated: 143,
});

/** What `--fail-on` accepts: from which severity on a finding makes the command fail. Default `critical`. */
export type FailOn = "never" | "warn" | "critical";

/** The exit code that findings ask for. */
export function exitCodeOfFindings(findings: readonly Finding[], failOn: FailOn): number {
  if (failOn === "never") return exitCode.ok;
  if (findings.some((finding) => finding.severity === "critical")) return exitCode.findingsCritical;
  if (failOn === "warn" && findings.some((finding) => finding.severity === "warn")) return exitCode.findingsWarn;
  return exitCode.ok;
}

const usageCodes = /^(CLI_USAGE|CONFIG_|CORE_INVALID_|BACKUP_INVALID_)/;
const lockedCodes = /(TIMEOUT|_ABORTED$|_IN_PROGRESS$|_IN_USE$|_BUSY$|_SATURATED$)/;
const unreachableCodes =
  /(CANNOT_CONNECT|CONNECT_TIMEOUT|_CONNECTION|SERVER_UNRESPONSIVE|NO_PRIMARY|NO_REPLICA|CIRCUIT_OPEN)/;

/** The exit code of an error: the first match along its chain of causes decides. */
export function exitCodeOfError(error: unknown): number {
  for (let current: unknown = error, depth = 0; current !== undefined && depth < 8; depth += 1) {
    const code = classify(current);
    if (code !== undefined) return code;
    current = current instanceof AggregateError ? current.errors[0] : (current as { cause?: unknown }).cause;
  }
  return adviseOnConnection(error) === undefined ? exitCode.failure : exitCode.cannotConnect;
}

function classify(error: unknown): number | undefined {
  if (isDbError(error)) {
    if (usageCodes.test(error.code)) return exitCode.usage;
    if (error.code === "CLI_NOT_CONFIRMED") return exitCode.notConfirmed;
    if (/PARTIAL|PARTLY|_PAUSED$/.test(error.code)) return exitCode.partlyDone;
    if (unreachableCodes.test(error.code)) return exitCode.cannotConnect;
    if (lockedCodes.test(error.code)) return exitCode.timeoutOrLocked;
    return undefined;
  }
  const state = sqlStateOf(error);
  if (state === "55P03" || state === "57014") return exitCode.timeoutOrLocked;
  // A database that does not exist (3D000) is a place that cannot be connected to.
  if (state === "3D000" || (state !== undefined && authenticationSqlStates.has(state))) return exitCode.cannotConnect;
  return isConnectionError(error) ? exitCode.cannotConnect : undefined;
}

/** True for what only a mistake in this program explains. */
export function isBug(error: unknown): boolean {
  return (
    error instanceof AssertionError ||
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError
  );
}
