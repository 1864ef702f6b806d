import { parseDurationMs } from "@db/core";
import { type BackfillSettings, readBackfillSettings } from "./backfill-settings.ts";

/** What a `-- migrate:up` or `-- migrate:down` line may set for its section. */
export interface SectionSettings {
  /** `auto`: in a transaction unless a statement cannot run in one. */
  readonly transaction: "auto" | "always" | "never";
  /** Longest wait for a lock; null waits for ever; absent takes the plan's. */
  readonly lockTimeoutMs?: number | null;
  /** Longest run of one statement; null has no limit; absent takes the plan's. */
  readonly statementTimeoutMs?: number | null;
  /** How often a lock time-out is tried again; absent takes the plan's. */
  readonly retries?: number;
  readonly tags: readonly string[];
  /** Ids that must be applied first. */
  readonly depends: readonly string[];
  /** Only of a `-- migrate:backfill`. */
  readonly backfill?: BackfillSettings;
}

export const sectionDefaults: SectionSettings = Object.freeze({ transaction: "auto", tags: [], depends: [] });

const words = ["up", "down", "verify", "allow", "expand", "backfill", "contract", "cancel"] as const;
const settings = ["transaction", "lock_timeout", "statement_timeout", "retries", "tags", "depends"] as const;

/** A directive line, recognised but not yet read. */
export interface DirectiveLine {
  readonly word: (typeof words)[number];
  readonly rest: string;
}

/** Recognises `-- migrate:word rest`; null for other lines. @throws {Error} naming the nearest word when unknown */
export function readDirectiveLine(line: string): DirectiveLine | null {
  const match = /^[ \t]*--+[ \t]*(migrate[ \t]*:)[ \t]*([^\s]*)[ \t]*(.*?)[ \t\r]*$/is.exec(line);
  if (!match) return refuseNearly(line);
  const [, prefix, word = "", rest = ""] = match;
  if (prefix !== "migrate:") {
    // Prose, unless it could pass for a directive.
    if (!words.some((candidate) => candidate === word.toLowerCase())) return null;
    throw new Error(`a directive begins with "migrate:", not "${prefix}"`);
  }
  const known = words.find((candidate) => candidate === word);
  if (!known) throw new Error(`unknown directive "migrate:${word}"${didYouMean(word, words)}`);
  return { word: known, rest };
}

/** @throws {Error} for a line that is a directive but for its colon */
function refuseNearly(line: string): null {
  const match = /^[ \t]*--+[ \t]*migrate[ \t]+([a-z]+)[ \t\r]*$/i.exec(line);
  const word = words.find((candidate) => candidate === match?.[1]?.toLowerCase());
  if (word === undefined) return null;
  throw new Error(`a directive has a colon: "migrate:${word}"`);
}

/** Tools whose mark of a section to undo is a comment to PostgreSQL: what follows it would run. */
const foreignDowns: readonly (readonly [tool: string, sign: string, mark: RegExp])[] = [
  ["goose", "+goose", /^[ \t]*--[ \t]*\+goose[ \t]+down\b/im],
  ["sql-migrate", "+migrate", /^[ \t]*--[ \t]*\+migrate[ \t]+down\b/im],
  ["node-pg-migrate", "own Migration", /^[ \t]*--[ \t]*down migration\b/im],
  ["MyBatis Migrations", "@UNDO", /^[ \t]*--[ \t]*\/\/[ \t]*@undo\b/im],
];

/** Where another tool's section to undo begins; null where there is none. */
export function findForeignDown(text: string): { readonly tool: string; readonly index: number } | null {
  for (const [tool, sign, mark] of foreignDowns) {
    const index = text.includes(sign) ? text.search(mark) : -1;
    if (index !== -1) return { tool, index };
  }
  return null;
}

/** Reads `transaction=false lock_timeout=3s …`. @throws {Error} with one sentence */
export function readSectionSettings(rest: string, word: DirectiveLine["word"] = "up"): SectionSettings {
  const read: { -readonly [Key in keyof SectionSettings]: SectionSettings[Key] } = { ...sectionDefaults };
  const { own, others } = word === "backfill" ? readBackfillSettings(rest) : { own: undefined, others: rest };
  if (own) read.backfill = own;
  for (const part of others.split(/\s+/).filter(Boolean)) {
    const match = /^([^=:]+)[=:](.*)$/.exec(part);
    const name = settings.find((candidate) => candidate === match?.[1]);
    const value = match?.[2] ?? "";
    if (!match) throw new Error(`expected name=value, got "${part}"`);
    if (!name) throw new Error(`unknown setting "${match[1]}"${didYouMean(match[1] ?? "", settings)}`);
    if (name === "transaction") read.transaction = readTransaction(value);
    else if (name === "lock_timeout") read.lockTimeoutMs = readTimeout(name, value);
    else if (name === "statement_timeout") read.statementTimeoutMs = readTimeout(name, value);
    else if (name === "retries") read.retries = readCount(name, value);
    else read[name] = value.split(",").filter(Boolean);
  }
  return read;
}

/** One `-- migrate:allow rule reason="…"`. */
export interface Allowance {
  readonly rule: string;
  readonly reason: string;
}

/** Reads what follows `migrate:allow`. @throws {Error} with one sentence */
export function readAllowance(rest: string): Allowance {
  const match = /^([A-Za-z0-9-]+)\s+reason="([^"]*)"$/.exec(rest.trim());
  const reason = match?.[2]?.trim() ?? "";
  if (!match || reason === "") throw new Error('expected a rule and a reason: migrate:allow drop-column reason="…"');
  return { rule: (match[1] ?? "").toLowerCase(), reason };
}

function readTransaction(value: string): SectionSettings["transaction"] {
  if (value === "true" || value === "always") return "always";
  if (value === "false" || value === "never") return "never";
  if (value === "auto") return "auto";
  throw new Error(`transaction is "true", "false" or "auto", not "${value}"`);
}

function readTimeout(name: string, value: string): number | null {
  if (value === "0" || value === "off") return null;
  try {
    return parseDurationMs(value);
  } catch {
    throw new Error(`${name} is a duration such as "3s", or "off", not "${value}"`);
  }
}

function readCount(name: string, value: string): number {
  if (!/^\d{1,4}$/.test(value)) throw new Error(`${name} is a whole number, not "${value}"`);
  return Number(value);
}

function didYouMean(word: string, known: readonly string[]): string {
  const nearest = known.map((candidate) => ({ candidate, distance: editDistance(word, candidate) }));
  nearest.sort((a, b) => a.distance - b.distance);
  const best = nearest[0];
  return best && best.distance <= 3 ? `; did you mean "${best.candidate}"?` : `; known: ${known.join(", ")}`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution);
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
