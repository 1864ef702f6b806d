import { loadConfig, type LoadedConfig } from "@db/config";
import { isDbError, messageOf, redactUrls } from "@db/core";
import { ScriptInterruptedError, ScriptTimeoutError } from "../errors.ts";
import { createOrchestrator, type Orchestrator } from "../orchestrator.ts";
import { readCommandLine, scriptHelp } from "./command-line.ts";
import type {
  ScriptContext,
  ScriptDefinition,
  ScriptHost,
  ScriptOptions,
  ScriptOutcome,
  ScriptResult,
} from "./definition.ts";
import { scriptExitCode, scriptExitCodeOf } from "./exit-code.ts";
import { createLineLogger } from "./log.ts";
import { withProcessSignals } from "./signals.ts";

/** A script that can be run. */
export interface Script {
  readonly name: string;
  readonly description: string;
  help(): string;
  /** Runs it and prints its result. Never throws. `host` may be `process`. */
  run(argv: readonly string[], host: ScriptHost): Promise<ScriptResult>;
  /** Runs it as the whole program: its arguments, its signals, its exit code. */
  main(process: NodeJS.Process): Promise<ScriptResult>;
}

/** What a script that ignores the end of its time is left, before it is answered without it. */
const graceMs = 1_000;

/**
 * Makes a script of a team's own with what the `db` commands have: arguments, help, `--dry-run`, `--verbose`,
 * `--timeout`, progress, a structured log, exit codes, a JSON result. `await script.main(process)` ends a file with one.
 */
export function defineScript(definition: ScriptDefinition): Script {
  const { name, description } = definition;
  const script: Script = {
    name,
    description,
    help: () => scriptHelp(definition),
    run: (argv, host) => runScript(definition, argv, host),
    async main(process) {
      const { env, stdout, stderr } = process;
      const cwd = (): string => process.cwd();
      const result = await withProcessSignals(process, (signal) =>
        script.run(process.argv.slice(2), { env, stdout, stderr, cwd, signal }),
      );
      process.exitCode = result.exitCode;
      return result;
    },
  };
  return script;
}

async function runScript(
  definition: ScriptDefinition,
  argv: readonly string[],
  host: ScriptHost,
): Promise<ScriptResult> {
  const startedAt = new Date();
  const began = performance.now();
  let options: ScriptOptions | undefined;
  let outcome: ScriptOutcome = {};
  let error: Error | undefined;
  try {
    const read = readCommandLine(definition, argv);
    if (read === "help") {
      host.stdout.write(`${scriptHelp(definition)}\n`);
      return resultOf(definition, { startedAt, began, options, outcome, error });
    }
    options = read;
    outcome = (await execute(definition, read, host)) ?? {};
  } catch (failure) {
    error = failure instanceof Error ? failure : new Error(String(failure));
  }
  const result = resultOf(definition, { startedAt, began, options, outcome, error });
  print(result, options?.json ?? argv.includes("--json"), host);
  return result;
}

async function execute(
  definition: ScriptDefinition,
  options: ScriptOptions,
  host: ScriptHost,
): Promise<ScriptOutcome | undefined | void> {
  const deadline = new AbortController();
  const timer = Number.isFinite(options.timeoutMs)
    ? setTimeout(() => deadline.abort(new ScriptTimeoutError(options.timeoutMs)), options.timeoutMs)
    : undefined;
  const signal = AbortSignal.any([deadline.signal, ...(host.signal ? [host.signal] : [])]);
  const cleanups: (() => Promise<unknown>)[] = [];
  const context = contextOf(definition, options, host, signal, cleanups);
  try {
    signal.throwIfAborted();
    return await boundedBy(signal, definition.run(context));
  } finally {
    clearTimeout(timer);
    for (const cleanup of cleanups.toReversed()) {
      await cleanup().catch((error: unknown) => context.logger.error({ err: error }, "a clean-up failed"));
    }
  }
}

/** The work, or the reason of the signal when the work does not end soon after it. */
async function boundedBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, fail) => {
    const later = (): void => void (timer = setTimeout(() => fail(signal.reason as Error), graceMs));
    if (signal.aborted) later();
    else signal.addEventListener("abort", later, { once: true });
  });
  end.catch(() => undefined);
  try {
    const result = await Promise.race([work, end]);
    signal.throwIfAborted();
    return result;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

function contextOf(
  { name }: ScriptDefinition,
  options: ScriptOptions,
  host: ScriptHost,
  signal: AbortSignal,
  cleanups: (() => Promise<unknown>)[],
): ScriptContext {
  const logger = createLineLogger(host.stderr, { verbose: options.verbose, fields: { script: name } });
  let loaded: Promise<LoadedConfig> | undefined;
  let orchestrator: Promise<Orchestrator> | undefined;
  const load = (): Promise<LoadedConfig> => (loaded ??= loadConfig({ env: host.env, cwd: host.cwd() }));
  const make = async (): Promise<Orchestrator> => {
    const { config } = await load();
    const made = createOrchestrator(config, { env: host.env, logger, readOnly: options.dryRun });
    cleanups.push(async () => {
      // Whose time is up does not wait for what it was doing.
      if (signal.aborted && made.used.includes("pool")) await made.pool.drain({ timeoutMs: 0 });
      await made.close();
    });
    return made;
  };
  return {
    options,
    logger,
    signal,
    config: async () => (await load()).config,
    orchestrator: () => (orchestrator ??= make()),
    progress: (done, total, message = "") => {
      const of = total > 0 ? `${done} of ${total}` : String(done);
      if (!options.json && host.stderr.isTTY) host.stderr.write(`\r\u001B[K  ${of} ${message}`);
      logger.info({ done, total }, message === "" ? "progress" : message);
    },
    print: (line) => {
      if (options.json) return;
      if (host.stderr.isTTY) host.stderr.write("\r\u001B[K");
      host.stdout.write(`${redactUrls(line)}\n`);
    },
    defer: (cleanup) => void cleanups.push(cleanup),
  };
}

function resultOf(
  { name }: ScriptDefinition,
  of: {
    readonly startedAt: Date;
    readonly began: number;
    readonly options: ScriptOptions | undefined;
    readonly outcome: ScriptOutcome;
    readonly error: Error | undefined;
  },
): ScriptResult {
  const { outcome, error, options } = of;
  const success = error === undefined && (outcome.success ?? true);
  return {
    script: name,
    success,
    exitCode: success ? scriptExitCode.ok : exitCodeOf(error),
    message: error ? redactUrls(messageOf(error)) : outcome.message,
    data: outcome.data ?? null,
    warnings: outcome.warnings ?? [],
    error,
    dryRun: options?.dryRun ?? false,
    startedAt: of.startedAt.toISOString(),
    durationMs: Math.round(performance.now() - of.began),
  };
}

function exitCodeOf(error: Error | undefined): number {
  if (error === undefined) return scriptExitCode.failure;
  if (!(error instanceof ScriptInterruptedError)) return scriptExitCodeOf(error);
  return error.signal === "SIGTERM" ? scriptExitCode.terminated : scriptExitCode.interrupted;
}

function print(result: ScriptResult, json: boolean, { stdout, stderr }: ScriptHost): void {
  if (json) {
    const { error, ...rest } = result;
    const hint = isDbError(error) ? error.hint : undefined;
    const shown = error && { code: (error as { code?: unknown }).code ?? error.name, message: result.message, hint };
    stdout.write(`${JSON.stringify({ ...rest, error: shown ?? null }, plain)}\n`);
    return;
  }
  if (stderr.isTTY) stderr.write("\r\u001B[K");
  for (const warning of result.warnings) stderr.write(`warning: ${warning}\n`);
  if (result.success)
    stdout.write(`${result.script}: ${result.message ?? "done"}${result.dryRun ? " (dry run)" : ""}\n`);
  else stderr.write(`${result.script} failed: ${result.message ?? "it said so itself"}\n`);
  if (isDbError(result.error) && result.error.hint !== undefined) stderr.write(`  ${result.error.hint}\n`);
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
