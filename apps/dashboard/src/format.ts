import { formatDuration } from "@db/core";

/** A number with thousands separators, at most one decimal. */
export function formatNumber(value: number): string {
  return value.toLocaleString("en", {
    maximumFractionDigits: value !== 0 && Math.abs(value) < 10 ? 2 : value < 100 ? 1 : 0,
  });
}

/** A ratio 0 to 1 as a percentage. */
export function formatShare(ratio: number): string {
  return `${(ratio * 100).toFixed(ratio > 0.995 && ratio < 1 ? 2 : ratio < 0.1 ? 1 : 0)} %`;
}

/** How long before `asOf` something was: "3 min ago". Counted from the data's own clock, so both sides draw the same. */
export function formatAgo(at: string, asOf: string): string {
  const ms = Date.parse(asOf) - Date.parse(at);
  if (!Number.isFinite(ms)) return "unknown";
  return ms < 1_000 ? "now" : `${formatDuration(ms).split(" ").slice(0, 2).join(" ").replace(/\.\d/, "")} ago`;
}

/** `2026-11-21 10:14:03 UTC`: the same on the server and in every browser. */
export function formatInstant(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
}
