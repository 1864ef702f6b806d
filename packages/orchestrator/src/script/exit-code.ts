import { adviseOnConnection, isConnectionError, isDbError, sqlStateOf } from "@db/core";

/** What a script's exit code says; the numbers are those of the `db` command. */
export const scriptExitCode: Readonly<
  Record<"ok" | "failure" | "usage" | "cannotConnect" | "timeout" | "interrupted" | "terminated", number>
> = Object.freeze({
  ok: 0,
  failure: 1,
  usage: 2,
  cannotConnect: 6,
  timeout: 7,
  interrupted: 130,
  terminated: 143,
});

const usageCodes = /^(SCRIPT_USAGE|CONFIG_|CORE_INVALID_)/;
const timeoutCodes = /(TIMEOUT|_ABORTED$|_IN_USE$|_SATURATED$)/;
const unreachableCodes = /(CONNECT_TIMEOUT|_CONNECTION|SERVER_UNRESPONSIVE|NO_PRIMARY|NO_REPLICA|CIRCUIT_OPEN)/;

/** The first match along the error's chain of causes decides. */
export function scriptExitCodeOf(error: unknown): number {
  for (let current: unknown = error, depth = 0; current !== undefined && depth < 8; depth += 1) {
    if (isDbError(current)) {
      if (usageCodes.test(current.code)) return scriptExitCode.usage;
      if (unreachableCodes.test(current.code)) return scriptExitCode.cannotConnect;
      if (timeoutCodes.test(current.code)) return scriptExitCode.timeout;
    } else if (isConnectionError(current)) return scriptExitCode.cannotConnect;
    const state = sqlStateOf(current);
    if (state === "55P03" || state === "57014") return scriptExitCode.timeout;
    current = (current as { cause?: unknown }).cause;
  }
  return adviseOnConnection(error) === undefined ? scriptExitCode.failure : scriptExitCode.cannotConnect;
}
