import { parseArgs } from "node:util";
import { parseDurationMs } from "@db/core";
import { ScriptUsageError } from "../errors.ts";
import type { ScriptArgument, ScriptDefinition, ScriptFlag, ScriptOptions } from "./definition.ts";

/** What every script takes. */
export const commonFlags: Readonly<Record<string, ScriptFlag>> = Object.freeze({
  "dry-run": { type: "boolean", short: "n", summary: "say what would be done and do nothing" },
  verbose: { type: "boolean", short: "v", summary: "the whole log on stderr" },
  json: { type: "boolean", summary: "the result as one JSON object on stdout" },
  timeout: {
    type: "string",
    value: "<duration>",
    summary: 'bound on the whole script, "30s"; a bare number is seconds',
  },
  help: { type: "boolean", short: "h", summary: "show this" },
});

type Described = Pick<ScriptDefinition, "name" | "description" | "flags" | "arguments" | "timeoutMs">;

/**
 * Reads the words after the script's name.
 * @returns `help` when that was asked for
 * @throws {ScriptUsageError} naming the word that is wrong
 */
export function readCommandLine(script: Described, argv: readonly string[]): ScriptOptions | "help" {
  const flags = { ...script.flags, ...commonFlags };
  const { values, positionals } = parse(script, flags, argv);
  if (values["help"] === true) return "help";
  for (const [name, { choices }] of Object.entries(flags)) {
    const value = values[name];
    if (choices && typeof value === "string" && !choices.includes(value)) {
      throw new ScriptUsageError(`--${name} is "${value}"`, { hint: `Use one of: ${choices.join(", ")}.` });
    }
  }
  const { "dry-run": dryRun, verbose, json, timeout, help: _, ...own } = values;
  return {
    dryRun: dryRun === true,
    verbose: verbose === true,
    json: json === true,
    timeoutMs: typeof timeout === "string" ? readTimeout(timeout) : (script.timeoutMs ?? Infinity),
    flags: own,
    arguments: readArguments(script.arguments ?? [], positionals),
  };
}

/** The help page. */
export function scriptHelp(script: Described): string {
  const words = (script.arguments ?? []).map(({ name, required }) => (required ? `<${name}>` : `[${name}]`));
  const rows = Object.entries({ ...script.flags, ...commonFlags }).map(([name, flag]): [string, string] => [
    `  ${flag.short === undefined ? "    " : `-${flag.short}, `}--${name}${flag.type === "string" ? ` ${flag.value ?? "<value>"}` : ""}`,
    flag.choices ? `${flag.summary} (${flag.choices.join(", ")})` : flag.summary,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return [
    `${script.name}: ${script.description}`,
    "",
    `Usage: ${[script.name, ...words].join(" ")} [flags]`,
    ...(words.length > 0 ? ["", "Arguments"] : []),
    ...(script.arguments ?? []).map(({ name, summary }) => `  ${`<${name}>`.padEnd(width - 2)}${summary}`),
    "",
    "Flags",
    ...rows.map(([left, right]) => `${left.padEnd(width)}${right}`),
    "",
    "Exit codes: 0 ok, 1 failure, 2 usage, 6 cannot connect, 7 timed out, 130 and 143 on a signal.",
  ].join("\n");
}

function parse(script: Described, flags: Readonly<Record<string, ScriptFlag>>, argv: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short === undefined ? {} : { short }) },
    ]),
  );
  try {
    const parsed = parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative: true, strict: true });
    return { values: parsed.values as ScriptOptions["flags"], positionals: parsed.positionals };
  } catch (error) {
    const [message = ""] = (error as Error).message.split(". ");
    const said = message.charAt(0).toLowerCase() + message.slice(1);
    throw new ScriptUsageError(said, { hint: `Run ${script.name} --help to see its flags.`, cause: error });
  }
}

function readTimeout(text: string): number {
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : parseDurationMs(text);
  if (ms > 0 && ms < 2 ** 31) return ms;
  throw new ScriptUsageError(`--timeout is "${text}"`, { hint: 'Give a duration such as "30s", at most 24 days.' });
}

function readArguments(specs: readonly ScriptArgument[], words: readonly string[]): ScriptOptions["arguments"] {
  if (words.length > specs.length) {
    throw new ScriptUsageError(`unexpected argument "${words[specs.length]}"`, { hint: "Run it with --help." });
  }
  const missing = specs.slice(words.length).find(({ required }) => required);
  if (missing)
    throw new ScriptUsageError(`<${missing.name}> is missing: ${missing.summary}`, { hint: "Run it with --help." });
  return Object.fromEntries(specs.map(({ name }, index) => [name, words[index]]));
}
