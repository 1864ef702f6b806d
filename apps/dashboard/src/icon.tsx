import type { Severity } from "@db/core";
import type { HealthStatus } from "@db/core";
import type { JSX } from "preact";

export type Tone = "good" | "info" | "warn" | "bad";

const shapes: Readonly<Record<Tone, string>> = {
  good: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm3.2 4.6-3.8 4.6a.8.8 0 0 1-1.2.05L4.6 9.1l1.1-1.1 1 1 3.3-4Z",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm-.9 2.6h1.8v1.8H7.1Zm0 3h1.8v4.8H7.1Z",
  warn: "M8 1.6 15 14H1Zm-.9 4.6v3.6h1.8V6.2Zm0 4.7v1.6h1.8v-1.6Z",
  bad: "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2Zm1 3.5L5 6.2 6.8 8 5 9.8 6.2 11 8 9.2 9.8 11 11 9.8 9.2 8 11 6.2 9.8 5 8 6.8Z",
};

export const toneOfStatus: Readonly<Record<HealthStatus, Tone>> = { pass: "good", warn: "warn", fail: "bad" };
export const toneOfSeverity: Readonly<Record<Severity, Tone>> = { info: "info", warn: "warn", critical: "bad" };
export const wordOfSeverity: Readonly<Record<Severity, string>> = {
  info: "Note",
  warn: "Warning",
  critical: "Critical",
};

/** A mark whose shape differs with its meaning; the word beside it says the same. */
export function Icon({ tone }: { readonly tone: Tone }): JSX.Element {
  return (
    <svg class={`icon tone-${tone}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path fill-rule="evenodd" d={shapes[tone]} />
    </svg>
  );
}

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: string }): JSX.Element {
  return (
    <span class={`badge tone-${tone}`}>
      <Icon tone={tone} />
      {children}
    </span>
  );
}
