import { randomUUID } from "node:crypto";
import { InvalidSilenceError } from "../errors.ts";
import type { Alert } from "./event.ts";

/** Alerts that somebody knows of: they stay in every list, marked, and are not told. */
export interface Silence {
  readonly id: string;
  readonly rule: string;
  /** Labels that an alert must have, `server` among them; none for every series of the rule. */
  readonly labels: Readonly<Record<string, string>>;
  readonly reason: string;
  /** Who silenced them. */
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  /** ISO 8601; from then on they are told again. */
  readonly until: string;
  /** An acknowledgement: it ends with the alert, so that the next time is told. */
  readonly endsWithAlert: boolean;
}

/** What somebody asks for. */
export interface SilenceRequest {
  readonly rule: string;
  /** Default none: every series of the rule. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly by: string;
  /** How long, milliseconds, at most 30 days; absent acknowledges: until the alert ends, at most 7 days. */
  readonly forMs?: number;
}

/** Where silences live. Several processes that watch the same server may share it. */
export interface SilenceStore {
  /** Those that hold at a moment, milliseconds since the epoch. */
  read(now: number): Promise<readonly Silence[]>;
  add(silence: Silence): Promise<void>;
  /** @returns false when there is none of that id */
  remove(id: string): Promise<boolean>;
}

const dayMs = 86_400_000;
const longestMs = 30 * dayMs;
const longestAcknowledgedMs = 7 * dayMs;
const longestReason = 500;

/** Keeps silences for the life of the process: the default. */
export function createMemorySilences(): SilenceStore {
  const kept = new Map<string, Silence>();
  return {
    async read(now) {
      for (const [id, { until }] of kept) if (Date.parse(until) <= now) kept.delete(id);
      return [...kept.values()];
    },
    add: async (silence) => void kept.set(silence.id, silence),
    remove: async (id) => kept.delete(id),
  };
}

/** Makes a silence of what was asked for. @throws {InvalidSilenceError} naming every problem at once */
export function toSilence(
  { rule, labels = {}, reason, by, forMs }: SilenceRequest,
  { rules, now }: { readonly rules: readonly string[]; readonly now: number },
): Silence {
  const text = reason.trim();
  const problems = [
    ...(rules.includes(rule) ? [] : [`there is no rule "${rule}"`]),
    ...(text === "" ? ["the reason is empty"] : []),
    ...(text.length > longestReason ? [`the reason is longer than ${longestReason} characters`] : []),
    ...(forMs === undefined || forMs > 0 ? [] : ["it would end before it begins"]),
    ...(forMs === undefined || forMs <= longestMs ? [] : ["it would last longer than 30 days"]),
  ];
  if (problems.length > 0) throw new InvalidSilenceError(problems);
  return {
    id: randomUUID(),
    rule,
    labels,
    reason: text,
    by,
    at: new Date(now).toISOString(),
    until: new Date(now + (forMs ?? longestAcknowledgedMs)).toISOString(),
    endsWithAlert: forMs === undefined,
  };
}

/** The silence that holds for an alert at a moment; of several the one that lasts longest. */
export function silenceOf(
  silences: readonly Silence[],
  alert: Pick<Alert, "rule" | "labels">,
  now: number,
): Silence | undefined {
  return silences
    .filter(
      ({ rule, labels, until }) =>
        rule === alert.rule &&
        now < Date.parse(until) &&
        Object.entries(labels).every(([name, value]) => alert.labels[name] === value),
    )
    .toSorted((a, b) => Date.parse(a.until) - Date.parse(b.until))
    .at(-1);
}
