import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";
import { showValue } from "./show.ts";

/** The table of every setting in Markdown, as it stands in the README. */
export function settingsTable(): string {
  const rows = settings.map((setting) => [
    `\`${setting.key}\``,
    variablesOf(setting),
    defaultOf(setting),
    `${setting.doc} Must be ${setting.kind.expected}.`.replaceAll("|", String.raw`\|`),
  ]);
  const lines = [["key", "variables", "default", "what"], ["---", "---", "---", "---"], ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function variablesOf({ variables, libpq, secret }: Setting): string {
  const own = variables.map(({ name, unit }) => `\`${name}\`${unit === undefined ? "" : ` (${unit})`}`);
  const files = secret === true ? variables.map(({ name }) => `\`${name}_FILE\``) : [];
  const theirs =
    libpq?.variable === undefined ? [] : [`\`${libpq.variable}\`${libpq.unit === undefined ? "" : ` (${libpq.unit})`}`];
  return [...own, ...files, ...theirs].join(", ");
}

function defaultOf(setting: Setting): string {
  const { profiles, defaultText } = setting;
  if (profiles === undefined) {
    if (setting.default === undefined) return defaultText ?? "";
    return inUnit(setting, setting.default);
  }
  const others = setting.default === undefined ? [] : [inUnit(setting, setting.default)];
  const own = Object.entries(profiles).map(([profile, value]) => `${profile} ${inUnit(setting, value)}`);
  return [...(own.length === 4 ? [] : others), ...own].join(", ");
}

function inUnit(setting: Setting, value: unknown): string {
  const shown = showValue(setting, value);
  return typeof value === "number" && setting.kind.name === "duration" && Number.isFinite(value)
    ? `${shown} ms`
    : shown;
}
