import { sqlStateOf } from "@db/core";

/** A statement that only reads, as far as its first word tells; comments before it do not count. */
export function looksLikeRead(text: string): boolean {
  const bare = text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, "");
  // Advisory locks work on a standby, and would guard nothing there.
  return /^(?:select|with|show|explain|values|table)\b/i.test(bare) && !/\bpg_(?:try_)?advisory_/i.test(bare);
}

/** The server refused because it is a standby: nothing was done, and the primary will do it. */
export function needsPrimary(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === "25006" || state === "55000";
}
