import { messageOf, sqlStateOf } from "@db/core";

/** What the server said, fit for a report: its data errors quote the value they stumbled on, and that is cut out. */
export function sqlErrorText(error: unknown): string {
  const state = sqlStateOf(error);
  const message = messageOf(error).split("\n")[0]!;
  if (state === "57014") return "it took longer than the statement timeout, or was cancelled";
  if (state === "55P03") return "the table stayed locked longer than the lock timeout";
  if (state === "42501") return `${message}: the role may not read it`;
  return state?.startsWith("22") ? message.replaceAll(/"[^"]*"/g, "a value") : message;
}

/**
 * True when the statement itself is wrong, whatever the data: a syntax error, an unknown name, an unfit literal,
 * something not supported there.
 */
export function isStatementError(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && state !== "42501" && /^(42|22|0A)/.test(state);
}

/** True when fewer rules in one statement could not help: the time ran out, a lock was held, the connection went. */
export function isWholeStepError(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined || state.startsWith("57") || state.startsWith("55") || state.startsWith("08");
}
