import { redactText } from "./redaction.ts";
import type { Problem } from "./errors.ts";
import { resolvePath } from "./file-content.ts";
import type { Entry, Layer } from "./layer.ts";
import { parsePostgresUrl, splitUrls } from "./postgres-url.ts";
import type { Profile } from "./profile.ts";
import type { ProfileChoice } from "./profile-choice.ts";
import { nameOf, type Setting } from "./setting.ts";
import { settings } from "./settings.ts";
import { describeSource, type Source } from "./source.ts";
import { suggest } from "./suggestion.ts";

/** A value that was found for a setting, checked. */
export interface Candidate {
  readonly entry: Entry;
  readonly source: Source;
  /** In canonical form; meaningless unless `isValid`. */
  readonly value: unknown;
  readonly isValid: boolean;
}

/** A setting with the value that counts, and those it beat. */
export interface Resolved {
  readonly setting: Setting;
  /** `undefined` when it is not set and has no default. */
  readonly value: unknown;
  readonly source: Source;
  /** True when somebody set it: it is not a default. */
  readonly isGiven: boolean;
  readonly beaten: readonly Candidate[];
}

export type Resolution = Map<string, Resolved>;

/** Collects problems; says each one once. */
export class ProblemList {
  readonly #problems: Problem[] = [];

  add(problem: Problem): void {
    if (!this.#problems.some(({ message }) => message === problem.message)) this.#problems.push(problem);
  }

  get all(): readonly Problem[] {
    return this.#problems;
  }
}

/** Checks what the layers hold for one setting, highest precedence first. */
export function candidatesOf(setting: Setting, layers: readonly Layer[]): readonly (readonly Candidate[])[] {
  return layers
    .map((layer) => layer.find(setting).map((entry) => check(setting, entry, layer)))
    .filter((candidates) => candidates.length > 0);
}

function check(setting: Setting, entry: Entry, { level }: Layer): Candidate {
  const source: Source = {
    level,
    name: entry.name,
    ...(entry.location === undefined ? {} : { location: entry.location }),
  };
  if (entry.unreadable !== undefined) return { entry, source, value: undefined, isValid: false };
  const { kind } = setting;
  const input = entry.isText && typeof entry.raw === "string" ? kind.fromText(entry.raw, entry.unit) : entry.raw;
  const parsed = kind.schema().safeParse(input);
  if (!parsed.success) return { entry, source, value: undefined, isValid: false };
  return { entry, source, value: kind.isPath ? resolved(parsed.data, entry.directory) : parsed.data, isValid: true };
}

/** A path is relative to what names it; a URL and the word `system` stay as they are. */
function resolved(value: unknown, directory: string | undefined): unknown {
  if (typeof value !== "string" || value === "system" || /^[a-z][a-z0-9+.-]+:/i.test(value)) return value;
  return resolvePath(value, directory);
}

/**
 * Gives every setting its value. The first layer that has one decides, even with a value that cannot be used: what
 * was meant to count is never passed over for something below it.
 */
export function resolveSettings(
  layers: readonly Layer[],
  options: {
    readonly profile: ProfileChoice;
    readonly directory: string | undefined;
    readonly secrets: ReadonlySet<string>;
  },
  problems: ProblemList,
): Resolution {
  const resolution: Resolution = new Map([["profile", options.profile.resolved]]);
  const get = (key: string): unknown => resolution.get(key)?.value;
  for (const setting of settings) {
    if (resolution.has(setting.key)) continue;
    const [winners = [], ...lower] = candidatesOf(setting, layers);
    for (const candidate of winners) {
      if (!candidate.isValid) problems.add(refusal(setting, candidate, options.secrets));
    }
    const valid = winners.filter(({ isValid }) => isValid);
    reportDisagreement(setting, valid, problems);
    const fallback = defaultOf(setting, options.profile.profile, options.directory, get);
    const [winner, ...rest] = valid;
    // A list beats the single entry that agrees with it.
    const longest = setting.kind.same === undefined ? winner : valid.toSorted((a, b) => sizeOf(b) - sizeOf(a))[0];
    const chosen = longest ?? winner;
    resolution.set(setting.key, {
      setting,
      value: chosen?.value ?? fallback?.value,
      source: chosen?.source ?? winners[0]?.source ?? fallback?.source ?? { level: "default", name: "not set" },
      isGiven: winners.length > 0,
      beaten: [
        ...[winner, ...rest].filter((candidate) => candidate !== undefined && candidate !== chosen),
        ...lower.flat(),
        ...(fallback !== undefined && winners.length > 0 ? [fallback] : []),
      ] as readonly Candidate[],
    });
  }
  return resolution;
}

function sizeOf(candidate: Candidate): number {
  return Array.isArray(candidate.value) ? candidate.value.length : 0;
}

/** The default of a setting in a profile, as the candidate that everything else beats. */
function defaultOf(
  setting: Setting,
  profile: Profile,
  directory: string | undefined,
  get: (key: string) => unknown,
): Candidate | undefined {
  const byProfile = setting.profiles !== undefined && Object.hasOwn(setting.profiles, profile);
  const plain = byProfile ? setting.profiles[profile] : setting.default;
  if (plain === undefined) return undefined;
  const fitted = setting.adjustDefault === undefined ? plain : setting.adjustDefault(plain, get);
  const source: Source = byProfile
    ? { level: "profile default", name: `the default for ${profile}` }
    : { level: "default", name: "the default" };
  const entry: Entry = { name: setting.key, raw: fitted, isText: false };
  return { entry, source, value: setting.kind.isPath ? resolved(fitted, directory) : fitted, isValid: true };
}

function reportDisagreement(setting: Setting, valid: readonly Candidate[], problems: ProblemList): void {
  const [first, ...others] = valid;
  const same = setting.kind.same ?? ((a, b) => JSON.stringify(a) === JSON.stringify(b));
  const other = others.find(({ value }) => !same(first!.value, value));
  if (first === undefined || other === undefined) return;
  const names = `${first.source.name} and ${other.source.name}`;
  problems.add({
    variable: first.source.name,
    source: placeOf(first),
    expected: `the same value as ${other.source.name}`,
    example: setting.example,
    message: `${names} both set ${setting.key} (${placeOf(first)}), to different values; set one of them`,
  });
}

/** Why a value was refused. The value is repeated only when it is a short number or word, and holds no secret. */
export function refusal(setting: Setting, { entry, source }: Candidate, secrets: ReadonlySet<string>): Problem {
  const { kind } = setting;
  const text = ["string", "number", "boolean"].includes(typeof entry.raw) ? String(entry.raw) : "";
  const expected = entry.unit === undefined ? kind.expected : `${kind.expected}; a bare number is in ${entry.unit}`;
  const problem = {
    variable: source.name,
    source: placeOf({ source }),
    expected,
    example: setting.example,
  };
  if (entry.unreadable !== undefined) {
    const message = `${describeSource(source)} ${entry.unreadable}`;
    return { ...problem, expected: `a file with ${kind.expected}`, example: "/run/secrets/name", message };
  }
  const repeated = kind.isPlain === true && setting.secret === undefined ? redactText(text, secrets) : undefined;
  const shown = repeated === text && /^[\x20-\x7e]{1,24}$/.test(text) ? `, not ${JSON.stringify(text)}` : "";
  const input = entry.isText && typeof entry.raw === "string" ? kind.fromText(entry.raw, entry.unit) : entry.raw;
  const reason = kind.reason?.(input);
  const message =
    `${describeSource(source)} must be ${expected}${shown}` +
    `${reason === undefined ? "" : `: ${reason}`} (for example ${setting.example})`;
  const suggestion = suggestionFor(setting, text, shown !== "");
  return { ...problem, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

function suggestionFor(setting: Setting, text: string, mayShow: boolean): string | undefined {
  if (!mayShow) return undefined;
  const word = text.trim();
  if (setting.kind.words !== undefined) return suggest(word, setting.kind.words);
  if (setting.kind.name === "duration" && /^\d+$/.test(word) && Number(word) > 0) return `${word}s or ${word}ms`;
  if (setting.kind.name === "duration" && /^\d+m$/.test(word)) return `${word}in`;
  if (setting.kind.name === "boolean") return suggest(word, ["true", "false"]);
  return undefined;
}

/** `the environment`, `/srv/app/.env:3`, `the flags`. */
export function placeOf({ source }: { readonly source: Source }): string {
  if (source.location !== undefined) return source.location;
  return source.level === "flag" ? "the flags" : `the ${source.level}`;
}

/** Every secret text that the layers hold, also those that do not count, so that none is ever shown. */
export function secretsIn(layers: readonly Layer[]): ReadonlySet<string> {
  const secrets = new Set<string>();
  for (const setting of settings.filter(({ secret }) => secret === true)) {
    for (const layer of layers) {
      for (const { raw } of layer.find(setting)) {
        const texts = (Array.isArray(raw) ? raw : [raw]).filter((text) => typeof text === "string");
        for (const text of texts) {
          secrets.add(text);
          for (const part of splitUrls(text)) addSecret(part, secrets);
        }
      }
    }
  }
  return secrets;
}

function addSecret(text: string, secrets: Set<string>): void {
  secrets.add(text);
  const reading = parsePostgresUrl(text);
  const password = "url" in reading ? reading.url.password : /:\/\/[^/]*?:(.*)@/s.exec(text)?.[1];
  if (password !== undefined) secrets.add(password);
}

/** The variable to name when a setting must be given, with the source where it stands now. */
export function subjectOf(resolved: Resolved): { readonly variable: string; readonly source: string } {
  return resolved.isGiven
    ? { variable: resolved.source.name, source: placeOf(resolved) }
    : { variable: nameOf(resolved.setting), source: resolved.source.name };
}
