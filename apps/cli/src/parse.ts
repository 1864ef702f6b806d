import { parseArgs } from "node:util";
import type { Command, FlagSpec, Input } from "./command.ts";
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** Flags that every command takes, before or after its name. */
export const globalFlags: Readonly<Record<string, FlagSpec>> = Object.freeze({
  config: {
    type: "string",
    short: "c",
    value: "<file>",
    summary: "configuration file; default: the nearest db.config.*",
  },
  env: { type: "string", value: "<profile>", summary: "profile: development, test, staging or production" },
  url: {
    type: "string",
    value: "<url>",
    summary: "database to use; visible to other users of this machine, prefer DATABASE_URL or --url-file",
  },
  "url-file": { type: "string", value: "<file>", summary: "file that holds the database URL" },
  json: { type: "boolean", summary: "one JSON object on stdout, also on errors" },
  output: {
    type: "string",
    value: "<form>",
    choices: ["text", "json", "stream-json"],
    summary: "text (default), json, or stream-json: one event a line",
  },
  quiet: { type: "boolean", short: "q", summary: "no progress, only the result" },
  verbose: { type: "boolean", short: "v", summary: "more detail, and the log on stderr" },
  debug: { type: "boolean", summary: "everything, with stacks" },
  color: { type: "boolean", summary: "colours; default on a terminal, off with NO_COLOR; --no-color turns them off" },
  input: { type: "boolean", summary: "ask questions; --no-input never asks" },
  yes: { type: "boolean", short: "y", summary: "answer yes where nothing can be lost" },
  confirm: {
    type: "string",
    value: "<database>",
    summary: "name of the database that a destructive command may change",
  },
  "allow-production": { type: "boolean", summary: "let a destructive command run with the production profile" },
  "dry-run": { type: "boolean", short: "n", summary: "print what would be done and do nothing" },
  timeout: { type: "string", value: "<duration>", summary: 'bound on the whole command, e.g. "30s"' },
  "fail-on": {
    type: "string",
    value: "<severity>",
    choices: ["never", "warn", "warning", "critical"],
    summary: "findings from this severity on fail the command; default critical",
  },
  help: { type: "boolean", short: "h", summary: "show this" },
  version: { type: "boolean", summary: "show the version" },
});

/** What a command line asks for. */
export type Parsed =
  | { readonly kind: "help"; readonly topic: readonly string[] }
  | { readonly kind: "version" }
  | { readonly kind: "run"; readonly command: Command; readonly input: Input };

/**
 * Reads a command line. Flags may stand anywhere; a command is never guessed from a prefix, only suggested.
 * @throws {UsageError} naming the word that is wrong and the nearest right one
 */
export function parseCommandLine(commands: readonly Command[], argv: readonly string[]): Parsed {
  const words = commandWords(argv);
  const command = longestMatch(commands, words);
  const flags = { ...globalFlags, ...command?.flags };
  const { values, positionals } = parseFlags(argv, flags);
  if (values["version"] === true) return { kind: "version" };
  if (values["help"] === true || positionals.length === 0) return { kind: "help", topic: positionals };
  if (positionals[0] === "help") return { kind: "help", topic: positionals.slice(1) };
  if (!command) throw unknownCommand(commands, positionals);
  const rest = positionals.slice(command.name.split(" ").length);
  return {
    kind: "run",
    command,
    input: { arguments: namedArguments(command, rest, commands), flags: checkChoices(values as Input["flags"], flags) },
  };
}

// The words that could name a command: everything that is no flag and no flag's value.
function commandWords(argv: readonly string[]): readonly string[] {
  const words: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    if (word === "--") break;
    if (!word.startsWith("-")) words.push(word);
    else if (!word.includes("=") && takesValue(word)) index += 1;
  }
  return words;
}

function takesValue(word: string): boolean {
  const spec = Object.entries(globalFlags).find(
    ([name, flag]) => word === `--${name}` || word === `-${flag.short}`,
  )?.[1];
  return spec?.type === "string";
}

function longestMatch(commands: readonly Command[], words: readonly string[]): Command | undefined {
  for (let length = Math.min(3, words.length); length > 0; length -= 1) {
    const name = words.slice(0, length).join(" ");
    const command = commands.find((each) => each.name === name || each.aliases?.includes(name));
    if (command) return command;
  }
  return undefined;
}

function parseFlags(argv: readonly string[], flags: Readonly<Record<string, FlagSpec>>) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      { type: flag.type, multiple: flag.multiple ?? false, ...(flag.short === undefined ? {} : { short: flag.short }) },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative: true, strict: true });
  } catch (error) {
    const message = (error as Error).message;
    const unknown = /Unknown option '(-{1,2}[^']*)'/.exec(message)?.[1];
    const suggestion = unknown === undefined ? undefined : nearest(unknown.replace(/^-+/, ""), Object.keys(flags));
    throw new UsageError(unknown === undefined ? lowerFirst(message.split(". ")[0]!) : `unknown flag ${unknown}`, {
      hint:
        suggestion === undefined ? "Run the command with --help to see its flags." : `Did you mean --${suggestion}?`,
    });
  }
}

function namedArguments(
  command: Command,
  rest: readonly string[],
  commands: readonly Command[],
): Record<string, string | undefined> {
  const specs = command.arguments ?? [];
  if (rest.length > specs.length) {
    const siblings = commands.filter((each) => each.name.startsWith(`${command.name} `)).map((each) => each.name);
    const suggestion = nearest(`${command.name} ${rest[0]}`, siblings);
    throw new UsageError(`unexpected argument "${rest[specs.length]}" for db ${command.name}`, {
      hint: suggestion === undefined ? `Run db ${command.name} --help.` : `Did you mean db ${suggestion}?`,
    });
  }
  const missing = specs.slice(rest.length).find((spec) => spec.required);
  if (missing)
    throw new UsageError(`db ${command.name} needs <${missing.name}>: ${missing.summary}`, {
      hint: `Run db ${command.name} --help.`,
    });
  for (const [index, { name, choices, alsoAccepted = [] }] of specs.entries()) {
    const word = rest[index];
    if (word === undefined || choices === undefined || choices.includes(word) || alsoAccepted.includes(word)) continue;
    const meant = nearest(word, choices);
    const first = meant === undefined ? "" : `Did you mean ${meant}? `;
    throw new UsageError(`<${name}> is "${word}"`, { hint: `${first}Use one of: ${choices.join(", ")}.` });
  }
  return Object.fromEntries(specs.map((spec, index) => [spec.name, rest[index]]));
}

function checkChoices(values: Input["flags"], flags: Readonly<Record<string, FlagSpec>>): Input["flags"] {
  for (const [name, spec] of Object.entries(flags)) {
    const value = values[name];
    if (spec.choices && typeof value === "string" && !spec.choices.includes(value)) {
      throw new UsageError(`--${name} is "${value}"`, { hint: `Use one of: ${spec.choices.join(", ")}.` });
    }
  }
  return values;
}

function unknownCommand(commands: readonly Command[], positionals: readonly string[]): UsageError {
  const group = commands
    .filter((command) => command.name.startsWith(`${positionals[0]} `))
    .map((command) => command.name);
  if (group.length > 0) {
    const given = positionals[1];
    const suggestion = given === undefined ? undefined : nearest(`${positionals[0]} ${given}`, group);
    return new UsageError(
      given === undefined ? `db ${positionals[0]} needs a verb` : `unknown command "db ${positionals[0]} ${given}"`,
      {
        hint:
          suggestion === undefined
            ? `Use one of: ${group.map((name) => `db ${name}`).join(", ")}.`
            : `Did you mean db ${suggestion}?`,
      },
    );
  }
  const suggestion = nearest(
    positionals[0]!,
    commands.map((command) => command.name),
  );
  return new UsageError(`unknown command "db ${positionals[0]}"`, {
    hint: suggestion === undefined ? "Run db --help to see all commands." : `Did you mean db ${suggestion}?`,
  });
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
