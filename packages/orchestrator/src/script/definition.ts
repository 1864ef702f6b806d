import type { Config } from "@db/config";
import type { Logger } from "@db/core";
import type { Orchestrator } from "../orchestrator.ts";

/** One flag of a script. Its name is kebab-case; `--no-<name>` turns a boolean off. */
export interface ScriptFlag {
  readonly type: "boolean" | "string";
  readonly short?: string;
  /** Placeholder in the help: `<folder>`. */
  readonly value?: string;
  readonly summary: string;
  /** Accepted words, where the set is closed. */
  readonly choices?: readonly string[];
  readonly multiple?: boolean;
}

/** A positional argument, in order. */
export interface ScriptArgument {
  readonly name: string;
  readonly summary: string;
  readonly required?: boolean;
}

export type ScriptFlagValue = string | boolean | readonly string[];

/** What every script takes, and its own flags under their names. Durations are milliseconds. */
export interface ScriptOptions {
  readonly dryRun: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
  /** `Infinity` without a bound. */
  readonly timeoutMs: number;
  readonly flags: Readonly<Record<string, ScriptFlagValue | undefined>>;
  readonly arguments: Readonly<Record<string, string | undefined>>;
}

/** What a running script may use. What is costly is made when it is first asked for, and closed when the script ends. */
export interface ScriptContext {
  /** @throws {ConfigError} with every problem at once */
  readonly config: () => Promise<Config>;
  /**
   * Nothing is connected before a service is used. In a dry run its services change nothing; the pool does what it is
   * told.
   */
  readonly orchestrator: () => Promise<Orchestrator>;
  readonly options: ScriptOptions;
  /** JSON lines on stderr: all with `--verbose`, warnings and errors always. */
  readonly logger: Logger;
  /** Fires on a signal and when the time is up. */
  readonly signal: AbortSignal;
  /** Says how far it is. `total` may be 0 while it is not known. */
  readonly progress: (done: number, total: number, message?: string) => void;
  /** A line of the answer on stdout, for people: nothing with `--json`, where stdout is one object. */
  readonly print: (line: string) => void;
  /** Runs `cleanup` when the script ends, last registered first. */
  readonly defer: (cleanup: () => Promise<unknown>) => void;
}

/** What a script hands back; nothing is the same as an empty success. */
export interface ScriptOutcome {
  /** Default true. */
  readonly success?: boolean;
  /** One sentence for people. */
  readonly message?: string;
  /** The answer, plain data: raw numbers, units in names. */
  readonly data?: unknown;
  readonly warnings?: readonly string[];
}

/** A script as data. */
export interface ScriptDefinition {
  /** Lower case words with dashes. */
  readonly name: string;
  readonly description: string;
  readonly flags?: Readonly<Record<string, ScriptFlag>>;
  readonly arguments?: readonly ScriptArgument[];
  /** Bound without `--timeout`. Default none. */
  readonly timeoutMs?: number;
  run(context: ScriptContext): Promise<ScriptOutcome | undefined | void>;
}

/** How a run ended. Never thrown, always returned. */
export interface ScriptResult {
  readonly script: string;
  readonly success: boolean;
  /** What the process should exit with: see `exitCode`. */
  readonly exitCode: number;
  readonly message: string | undefined;
  readonly data: unknown;
  readonly warnings: readonly string[];
  readonly error: Error | undefined;
  readonly dryRun: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
}

/** What a script needs of the process; `process` itself fits. */
export interface ScriptHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  cwd(): string;
  /** Ends the run early. */
  readonly signal?: AbortSignal;
}
