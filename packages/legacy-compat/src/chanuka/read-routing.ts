import { sqlStateOf } from "@db/core";

/**
 * What a standby does without complaint, on itself: an advisory lock there guards nothing, and the session to end or the
 * statistics to reset are the primary's.
 */
const primaryOnly =
  /\bpg_(?:(?:try_)?advisory_|cancel_backend|terminate_backend|reload_conf|rotate_logfile|stat_reset)/i;

/** A statement that only reads, as far as its first word tells; comments before it do not count. */
export function looksLikeRead(text: string): boolean {
  const bare = text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, "");
  return /^(?:select|with|show|explain|values|table)\b/i.test(bare) && !primaryOnly.test(bare);
}

/** The server refused because it is a standby: nothing was done, and the primary will do it. */
export function needsPrimary(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === "25006" || state === "55000";
}
