import { describePostgresUrl, parsePostgresUrl } from "./postgres-url.ts";
import type { Setting } from "./setting.ts";

/** A value as people may see it. Of a secret, only what is not secret about it. */
export function showValue(setting: Setting, value: unknown): string {
  if (value === undefined) return "not set";
  if (setting.secret === true) {
    if (Array.isArray(value))
      return value.length === 0 ? "none" : value.map((item) => showSecret(setting, item)).join(",");
    return showSecret(setting, value);
  }
  if (value === Number.POSITIVE_INFINITY) return "unlimited";
  if (value === false && setting.kind.name !== "boolean") return "off";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.join(",");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function showSecret(setting: Setting, value: unknown): string {
  const reading = setting.kind.name.startsWith("postgres URL") ? parsePostgresUrl(String(value)) : undefined;
  if (reading !== undefined && "url" in reading) return describePostgresUrl(reading.url);
  // The path of a webhook is its secret; where it goes is not.
  if (setting.kind.name === "url" && URL.canParse(String(value))) {
    const { protocol, host } = new URL(String(value));
    return `${protocol}//${host}/***`;
  }
  return "***";
}
