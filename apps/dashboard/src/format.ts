import { formatBytes, formatDuration } from "@db/core";
import type { CellKind } from "./page-view.ts";

/** A number with thousands separators, at most one decimal. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 1e15) return value.toExponential(1).replace("+", "");
  return value.toLocaleString("en", {
    maximumFractionDigits: value !== 0 && Math.abs(value) < 10 ? 2 : value < 100 ? 1 : 0,
  });
}

/** A ratio 0 to 1 as a percentage. */
export function formatShare(ratio: number): string {
  if (ratio === 0 || ratio === 1) return `${ratio * 100} %`;
  // Never rounded up to all of it: the last hundredth is the one that matters.
  if (ratio > 0.99 && ratio < 1) return `${(Math.floor(ratio * 10_000) / 100).toFixed(2)} %`;
  return `${(ratio * 100).toFixed(ratio < 0.1 ? 1 : 0)} %`;
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

/** A value as people read it: the one place that knows how each kind looks. */
export function formatValue(value: string | number | boolean | null, kind: CellKind, asOf: string): string {
  if (value === null) return "–";
  switch (kind) {
    case "count":
      return formatNumber(Number(value));
    case "bytes":
      return formatBytes(Math.round(Number(value)));
    case "seconds":
      return formatDuration(Number(value) * 1_000);
    case "milliseconds":
      return formatMilliseconds(Number(value));
    case "ratio":
    case "share":
      return formatShare(Number(value));
    case "per second":
      return formatNumber(Number(value));
    case "days":
      return Number(value) > 3_650 ? "over 10 years" : `${formatNumber(Math.floor(Number(value)))} days`;
    case "time":
      return formatAgo(String(value), asOf);
    case "flag":
      return value === true ? "yes" : "no";
    default:
      return String(value);
  }
}

/** Statements that take microseconds are told apart too. */
function formatMilliseconds(ms: number): string {
  return ms > 0 && ms < 0.1 ? `${Number((ms * 1_000).toPrecision(2))} µs` : formatDuration(ms);
}

/** A number on the axis of a chart: as short as it can be and still be right. */
export function formatAxis(value: number, kind: CellKind): string {
  if (kind === "bytes") return value === 0 ? "0" : formatBytes(Math.round(value)).replace(".0 ", " ");
  if (kind === "ratio" || kind === "share") return `${Math.round(value * 100)} %`;
  if (kind === "seconds") return value === 0 ? "0" : formatDuration(value * 1_000);
  if (kind === "milliseconds") return value === 0 ? "0" : formatDuration(value);
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)}G`;
  if (size >= 1e6) return `${trim(value / 1e6)}M`;
  return size >= 1e4 ? `${trim(value / 1e3)}k` : trim(value);
}

function trim(value: number): string {
  return String(Number(value.toPrecision(3)));
}
