import type { Finding } from "@db/core";
import type { Context } from "./context.ts";

/** One flag of a command. Names are kebab-case; `--no-<name>` turns a boolean off. */
export interface FlagSpec {
  readonly type: "boolean" | "string";
  readonly short?: string;
  /** Placeholder in the help: `<folder>`. */
  readonly value?: string;
  readonly summary: string;
  /** Accepted words, where the set is closed. */
  readonly choices?: readonly string[];
  readonly multiple?: boolean;
}

/** A positional argument. */
export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  readonly required?: boolean;
  /** Accepted words, where the set is closed. */
  readonly choices?: readonly string[];
  /** Words of older tools, accepted too and not told of. */
  readonly alsoAccepted?: readonly string[];
}

/**
 * What a command does to the world: `reads` changes nothing, `changes` can be repeated safely, `destroys` can lose
 * data and therefore asks for a confirmation by name.
 */
export type Effect = "reads" | "changes" | "destroys";

/** A command as data: help, completion and parsing read it; `load` brings its code in only when it runs. */
export interface Command {
  /** Words after `db`: "migrate up". */
  readonly name: string;
  readonly summary: string;
  /** Other names of the same command, from older tools; not in the help's list. */
  readonly aliases?: readonly string[];
  readonly effect: Effect;
  readonly examples: readonly (readonly [command: string, does: string])[];
  readonly arguments?: readonly ArgumentSpec[];
  readonly flags?: Readonly<Record<string, FlagSpec>>;
  /** True for a service that runs until it is told to stop: it logs its errors. */
  readonly staysUp?: boolean;
  /** Exit code of every failure, a mistaken call included: for a command whose caller knows no other. */
  readonly failureCode?: number;
  readonly load: () => Promise<(context: Context, input: Input) => Promise<CommandResult>>;
}

/** Parsed words and flags of one call. */
export interface Input {
  readonly arguments: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

/** One change that was made, or with `--dry-run` would be. */
export interface Change {
  /** Lower case with underscores: `create_index`. */
  readonly kind: string;
  readonly object: string;
  readonly sql?: string;
  readonly destructive?: boolean;
}

/** What a command hands back; printing is not its business. */
export interface CommandResult {
  /** The JSON answer: raw numbers, units in names, no bigint. */
  readonly data: unknown;
  /** The same for people. Ends without a line feed. */
  readonly text: string;
  readonly findings?: readonly Finding[];
  readonly changes?: readonly Change[];
  readonly warnings?: readonly string[];
  /** Commands worth running next. */
  readonly next?: readonly string[];
  /** True where findings decide the exit code. */
  readonly gate?: boolean;
  /** Overrides the exit code, e.g. 8 for a job that ended half-way and can be resumed. */
  readonly exitCode?: number;
}

/** Reads a string flag. */
export function text(input: Input, name: string): string | undefined {
  const value = input.flags[name];
  return typeof value === "string" ? value : undefined;
}

/** Reads a flag that may be given more than once. */
export function texts(input: Input, name: string): readonly string[] {
  const value = input.flags[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** Reads a boolean flag; `undefined` when it was not given. */
export function toggle(input: Input, name: string): boolean | undefined {
  const value = input.flags[name];
  return typeof value === "boolean" ? value : undefined;
}
