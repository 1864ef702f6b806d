import { dirname } from "node:path";
import { type Dotenv, parseDotenv } from "./dotenv.ts";
import type { Problem } from "./errors.ts";
import { type FileContent, openText } from "./file-content.ts";
import type { Unit } from "./kind.ts";
import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";
import type { Level } from "./source.ts";

/** One value as it was found, not yet checked. */
export interface Entry {
  readonly name: string;
  readonly raw: unknown;
  /** True for the text of a variable or flag; false for the typed value of a file. */
  readonly isText: boolean;
  readonly unit?: Unit | undefined;
  readonly location?: string | undefined;
  /** What a relative path is relative to. */
  readonly directory?: string | undefined;
  /** Why it could not even be read. */
  readonly unreadable?: string;
}

/** The values of one level. Layers stand in order of precedence. */
export interface Layer {
  readonly level: Level;
  find(setting: Setting): readonly Entry[];
}

export type Variables = Readonly<Record<string, string | undefined>>;

/** A `.env` file that was read. */
export interface DotenvFile {
  readonly path: string;
  readonly text: string;
}

export interface VariableSource {
  readonly level: Level;
  /** The text of a variable; an empty one is not set. */
  get(name: string): { readonly text: string; readonly location?: string } | undefined;
  names(): readonly string[];
  /** What a relative path is relative to. */
  readonly directory: string | undefined;
  readonly readFile: ((path: string) => FileContent | undefined) | undefined;
}

export function environmentSource(
  variables: Variables,
  directory: string | undefined,
  readFile: VariableSource["readFile"],
): VariableSource {
  return {
    level: "environment",
    directory,
    readFile,
    names: () => Object.keys(variables),
    get: (name) => {
      const text = Object.hasOwn(variables, name) ? variables[name] : undefined;
      return text === undefined || text === "" ? undefined : { text };
    },
  };
}

export function dotenvSource(
  file: DotenvFile,
  level: Level,
  readFile: VariableSource["readFile"],
): { readonly source: VariableSource; readonly dotenv: Dotenv } {
  const dotenv = parseDotenv(file.text);
  const source: VariableSource = {
    level,
    directory: dirname(file.path),
    readFile,
    names: () => [...dotenv.entries.keys()],
    get: (name) => {
      const entry = dotenv.entries.get(name);
      return entry === undefined || entry.value === ""
        ? undefined
        : { text: entry.value, location: `${file.path}:${entry.line}` };
    },
  };
  return { source, dotenv };
}

/** The toolkit's own variables of a source. */
export function variableLayer(source: VariableSource): Layer {
  return {
    level: source.level,
    find: (setting) => setting.variables.flatMap(({ name, unit }) => entriesOf(source, setting, name, unit)),
  };
}

/** libpq's variables of a source: the same place, but the lowest precedence. */
export function libpqLayer(source: VariableSource): Layer {
  return {
    level: "libpq",
    find: ({ libpq, ...setting }) => {
      if (libpq?.variable === undefined) return [];
      const { variable, unit } = libpq;
      return entriesOf(source, setting, variable, unit).map((entry) => inLibpq(entry, unit));
    },
  };
}

function inLibpq(entry: Entry, unit: Unit | undefined): Entry {
  return { ...entry, location: entry.location ?? "the environment", raw: libpqText(entry.raw, unit) };
}

/** In libpq a connect timeout of 0, or below, waits without limit. */
export function libpqText(raw: unknown, unit: Unit | undefined): unknown {
  return unit === "s" && typeof raw === "string" && /^\s*(-\d+|0)\s*$/.test(raw) ? "unlimited" : raw;
}

function entriesOf(
  source: VariableSource,
  setting: Pick<Setting, "secret">,
  name: string,
  unit: Unit | undefined,
): readonly Entry[] {
  const { directory } = source;
  const entries: Entry[] = [];
  const direct = source.get(name);
  // A value of nothing but spaces is not set, except where spaces may be the value.
  if (direct !== undefined && (setting.secret === true || direct.text.trim() !== "")) {
    entries.push({ name, raw: direct.text, isText: true, unit, location: direct.location, directory });
  }
  const pointer = setting.secret === true ? source.get(`${name}_FILE`) : undefined;
  if (pointer !== undefined) {
    const file = openText(source.readFile, pointer.text.trim(), directory);
    const entry = { name: `${name}_FILE`, isText: true, unit, location: pointer.location, directory };
    if ("wrong" in file) entries.push({ ...entry, raw: undefined, unreadable: file.wrong });
    else if (file.text !== "") entries.push({ ...entry, raw: file.text });
    else entries.push({ ...entry, raw: undefined, unreadable: "is empty" });
  }
  return entries;
}

const offKeys: Readonly<Record<string, { readonly key: string; readonly value: unknown }>> = Object.freeze({
  "pool.retry": { key: "pool.retry.maxRetries", value: 0 },
  "pool.circuitBreaker": { key: "features.circuitBreaker", value: false },
  "backup.remote": { key: "features.remoteStorage", value: false },
});

/** Groups that may be `false` in a file. */
export const groupsThatMayBeOff: readonly string[] = Object.freeze(Object.keys(offKeys));

/** Other places where a file may write a setting, as they stand in the finished configuration. */
export const keyAliases: Readonly<Record<string, string>> = Object.freeze({
  "monitor.enabled": "features.monitoring",
  "validate.enabled": "features.validation",
  "indexer.enabled": "features.indexOptimization",
});

export const allKeys: readonly string[] = Object.freeze([
  ...settings.map(({ key }) => key),
  ...Object.keys(keyAliases),
]);

const groups: ReadonlySet<string> = new Set(
  allKeys.flatMap((key) => {
    const parts = key.split(".").slice(0, -1);
    return parts.map((_, index) => parts.slice(0, index + 1).join("."));
  }),
);
const keySet: ReadonlySet<string> = new Set(allKeys);

/** A configuration written as an object: a file or flags. */
export interface ObjectSource {
  readonly level: Level;
  readonly value: unknown;
  /** The file; none for flags. */
  readonly location?: string | undefined;
  readonly directory?: string | undefined;
  /** True where texts are to be read as those of variables are. */
  readonly isText?: boolean;
}

/** The settings of an object; a key that does not exist is a problem, since nothing else reads these files. */
export function objectLayer(
  source: ObjectSource,
  report: (problem: Omit<Problem, "source" | "suggestion"> & { readonly unknownKey?: string }) => void,
): Layer {
  const entries = new Map<string, Entry[]>();
  const add = (key: string, name: string, raw: unknown): void => {
    if (raw === undefined || raw === "") return;
    const isText = source.isText === true && typeof raw === "string";
    const entry = { name, raw, isText, location: source.location, directory: source.directory };
    entries.set(key, [...(entries.get(key) ?? []), entry]);
  };
  const visit = (value: unknown, at: string, depth: number): void => {
    if (keySet.has(at)) return add(Object.hasOwn(keyAliases, at) ? keyAliases[at]! : at, at, value);
    const where = at === "" ? "the configuration" : at;
    if (at !== "" && !groups.has(at)) {
      const message = `there is no setting ${JSON.stringify(at.slice(0, 80))}`;
      return report({
        variable: at.slice(0, 80),
        expected: "a known setting",
        example: "pool.max",
        message,
        unknownKey: at,
      });
    }
    if (value === false && Object.hasOwn(offKeys, at)) return add(offKeys[at]!.key, at, offKeys[at]!.value);
    if (value === undefined) return undefined;
    if (typeof value !== "object" || value === null || Array.isArray(value) || depth > 6) {
      const message = `${where} must be an object of settings`;
      return report({ variable: where, expected: "an object of settings", example: "{}", message });
    }
    for (const [name, inner] of Object.entries(value)) {
      if (at === "" && name === "$schema") continue;
      visit(inner, at === "" ? name : `${at}.${name}`, depth + 1);
    }
    return undefined;
  };
  visit(source.value, "", 0);
  return { level: source.level, find: (setting) => entries.get(setting.key) ?? [] };
}

/** Values by key, such as the parts of a URL or of a service. */
export function keyLayer(level: Level, entries: ReadonlyMap<string, Entry>): Layer {
  return {
    level,
    find: (setting) => {
      const entry = entries.get(setting.key);
      return entry === undefined ? [] : [entry];
    },
  };
}
