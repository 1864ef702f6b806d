import { parseDurationMs } from "@db/core";
import { z } from "zod";

/** The unit of a bare number in a variable that has always been written without one. */
export type Unit = "ms" | "s";

/** What a setting may hold: how a text becomes a value, what is accepted, and how to say so. */
export interface Kind {
  readonly name: string;
  /** The expected form, as it stands after "must be". */
  readonly expected: string;
  /**
   * Checks the value of a file and gives the canonical one; its input is the published JSON Schema. Made when asked
   * for: a start checks only what is set.
   */
  readonly schema: () => z.ZodType;
  /** Turns the text of a variable into what `schema` takes. A text that cannot be read is passed on as it is. */
  readonly fromText: (text: string, unit: Unit | undefined) => unknown;
  /** True for a path, which is relative to the file that names it. */
  readonly isPath?: true;
  /** Whether two values mean the same; equal JSON when not given. */
  readonly same?: (a: unknown, b: unknown) => boolean;
  /** What exactly is wrong with a value that was refused, without repeating it. */
  readonly reason?: (value: unknown) => string | undefined;
  /** The words of a choice, for a suggestion. */
  readonly words?: readonly string[];
  /** True where a refused value may be repeated in a message: it is a number or a word, not free text. */
  readonly isPlain?: true;
}

/** A timer longer than this fires at once in Node. */
const longestTimerMs = 2_147_483_647;

const asIs = (text: string): string => text.trim();
const numeric = /^[+-]?\d+(\.\d+)?$/;
const toNumber = (text: string): unknown => (numeric.test(text.trim()) ? Number(text) : text);
const toList = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

export function integer(min: number, max: number): Kind {
  const expected = `a whole number from ${min} to ${max}`;
  return { isPlain: true, name: "integer", expected, schema: () => z.int().min(min).max(max), fromText: toNumber };
}

export function number(min: number, max: number): Kind {
  const expected = `a number from ${min} to ${max}`;
  return { isPlain: true, name: "number", expected, schema: () => z.number().min(min).max(max), fromText: toNumber };
}

const booleans: Readonly<Record<string, boolean>> = Object.freeze({
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
});

export const boolean: Kind = Object.freeze({
  isPlain: true,
  name: "boolean",
  expected: "true or false",
  schema: () => z.boolean(),
  fromText: (text: string) => {
    const word = text.trim().toLowerCase();
    return Object.hasOwn(booleans, word) ? booleans[word] : text;
  },
});

const durationPattern = /^\d+\s*(ms|s|min|h|d)$/;

/** Milliseconds. `unlimited` gives `Infinity`, `off` gives `false`, each only where it makes sense. */
export function duration(
  range: { readonly minMs?: number; readonly maxMs?: number; readonly allow?: "unlimited" | "off" } = {},
): Kind {
  const { minMs = 1, maxMs = longestTimerMs, allow } = range;
  const within = (ms: number): boolean => ms >= minMs && ms <= maxMs;
  const schema = (): z.ZodType => {
    const written = z
      .string()
      .regex(durationPattern)
      .transform((text) => readDuration(text))
      .refine(within);
    const amount = z.union([z.int().min(minMs).max(maxMs), written]);
    if (allow === undefined) return amount;
    const [word, value] = allow === "unlimited" ? [allow, Number.POSITIVE_INFINITY] : [allow, false];
    return z.union([amount, z.enum([word]).transform(() => value), z.literal(value)]);
  };
  const other = allow === undefined ? "" : `, or ${allow}`;
  const least = minMs <= 1 ? "" : ` of at least ${minMs} ms`;
  const most = maxMs === longestTimerMs ? "" : ` of at most ${maxMs} ms`;
  return {
    isPlain: true,
    name: "duration",
    expected: `a duration with its unit (ms, s, min, h, d)${least}${most}${other}`,
    schema,
    fromText: (text, unit) => {
      const word = text.trim().toLowerCase();
      if (allow === "unlimited" && /^(unlimited|infinity|infinite)$/.test(word)) return Number.POSITIVE_INFINITY;
      if (allow === "off" && /^(off|false|none)$/.test(word)) return false;
      if (unit === undefined || !/^\d+$/.test(word)) return text.trim();
      return Number(word) * (unit === "s" ? 1_000 : 1);
    },
  };
}

function readDuration(text: string): number {
  try {
    return parseDurationMs(text);
  } catch {
    return Number.NaN;
  }
}

const bytePattern = /^\d+\s*(B|kB|MB|GB|TB)$/;
const byteUnits: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/** Bytes. `unlimited` gives `Infinity`. */
export const byteSize: Kind = Object.freeze({
  isPlain: true,
  name: "bytes",
  expected: "a size with its unit (B, kB, MB, GB, TB), or unlimited",
  schema: () =>
    z.union([
      z.int().min(0),
      z
        .string()
        .regex(bytePattern)
        .transform((text) => Number.parseInt(text, 10) * byteUnits[/[A-Za-z]+$/.exec(text)![0]]!)
        .refine(Number.isSafeInteger),
      z.enum(["unlimited"]).transform(() => Number.POSITIVE_INFINITY),
      z.literal(Number.POSITIVE_INFINITY),
    ]),
  fromText: asIs,
});

/** A word of a list; `aliases` are other spellings of the same, in lower case. */
export function choice(words: readonly string[], aliases: Readonly<Record<string, string>> = {}): Kind {
  const canonical = (text: string): string | undefined => {
    const word = text.trim().toLowerCase();
    return words.find((known) => known === word) ?? (Object.hasOwn(aliases, word) ? aliases[word] : undefined);
  };
  return {
    isPlain: true,
    words,
    name: "choice",
    expected: `one of ${words.join(", ")}`,
    schema: () =>
      z.enum([...words, ...Object.keys(aliases)] as [string, ...string[]]).transform((word) => canonical(word) ?? word),
    fromText: (text) => canonical(text) ?? text,
  };
}

// oxlint-disable-next-line no-control-regex -- control characters are what is refused
const oneLine = /^[^\u0000-\u001f\u007f]*$/;
// oxlint-disable-next-line no-control-regex -- no C string, so no PostgreSQL password, can hold a NUL
const withoutNul = /^[^\u0000]*$/;

/** One line of text without control characters. */
export function line(expected: string): Kind {
  return { name: "text", expected, schema: () => z.string().min(1).regex(oneLine), fromText: asIs };
}

/** A text that keeps its spaces: a password, a key. */
export function verbatim(expected: string): Kind {
  return {
    name: "text",
    expected,
    schema: () => z.string().min(1).regex(withoutNul),
    fromText: (text) => text,
  };
}

export const path: Kind = Object.freeze({ ...line("a path"), name: "path", isPath: true });

/** A path or the URL of a storage: only a path is resolved. */
export const location: Kind = Object.freeze({
  ...line("a folder or the URL of a storage"),
  name: "path or URL",
  isPath: true,
});

const identifierPattern = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;

export const identifier: Kind = Object.freeze({
  name: "identifier",
  expected: "a PostgreSQL name of letters, digits and underscores, at most 63",
  schema: () => z.string().regex(identifierPattern),
  fromText: asIs,
});

/** Hours of the day, ascending and each once. */
export const hours: Kind = Object.freeze({
  isPlain: true,
  name: "hours",
  expected: "hours from 0 to 23, separated by commas",
  schema: () => z.array(z.int().min(0).max(23)).transform((list) => [...new Set(list)].toSorted((a, b) => a - b)),
  fromText: (text: string) => text.split(",").map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : part)),
});

export function list(item: () => z.ZodType<string>, expected: string): Kind {
  return { name: "list", expected, schema: () => z.array(item()), fromText: toList };
}

const cronRanges = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** Five fields of numbers, `*`, ranges, lists and steps. */
export const cron: Kind = Object.freeze({
  isPlain: true,
  name: "cron",
  expected: "five cron fields (minute hour day month weekday) in numbers, or off",
  schema: () => z.union([z.string().refine(isCron), z.enum(["off"]).transform(() => false), z.literal(false)]),
  fromText: (text: string) => (text.trim().toLowerCase() === "off" ? false : text.trim()),
});

function isCron(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  return (
    fields.length === 5 &&
    fields.every((field, index) => isCronField(field, cronRanges[index]![0], cronRanges[index]![1]))
  );
}

function isCronField(field: string, min: number, max: number): boolean {
  return field.split(",").every((part) => {
    const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
    if (!match) return false;
    const [, from, to = from, step] = match;
    if (step !== undefined && Number(step) === 0) return false;
    return from === undefined || (Number(from) >= min && Number(to) <= max && Number(from) <= Number(to));
  });
}

export const email: Kind = Object.freeze({
  name: "list",
  expected: "e-mail addresses, separated by commas",
  schema: () => z.array(z.email()).min(1),
  fromText: toList,
});

/** A URL of the given schemes; its parts may be secret. */
export function url(schemes: readonly string[], expected: string): Kind {
  const fits = (text: string): boolean =>
    schemes.includes(/^[a-z][a-z0-9+.-]*(?=:)/.exec(text)?.[0] ?? "") && URL.canParse(text);
  return { name: "url", expected, schema: () => z.string().refine(fits), fromText: asIs };
}
