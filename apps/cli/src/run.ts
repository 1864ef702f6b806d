import { type Finding, isDbError, messageOf, parseDurationMs, redactUrls } from "@db/core";
import type { Command, CommandResult, Effect, Input } from "./command.ts";
import { text, toggle } from "./command.ts";
import { confirmByName } from "./confirm.ts";
import { describeError, type Envelope, makeEnvelope, type Target } from "./envelope.ts";
import { CommandTimeoutError, InterruptedError } from "./errors.ts";
import { exitCode, exitCodeOfError, exitCodeOfFindings, type FailOn, isBug } from "./exit-code.ts";
import { helpText } from "./help.ts";
import type { MadeContext } from "./context-factory.ts";
import { type Parsed, parseCommandLine } from "./parse.ts";
import { type OutputForm, Terminal } from "./terminal.ts";

/** Everything of the outside world that a run of the command line may touch. */
export interface Host {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDirectory: string;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Fires with the signal's name as its reason. */
  readonly signal: AbortSignal;
  readonly version: string;
}

/** Runs one command line and gives its exit code. Never throws. */
export async function run(commands: readonly Command[], host: Host): Promise<number> {
  const startedAt = new Date();
  const started = performance.now();
  const early = earlyForm(host.argv);
  let parsed: Parsed;
  try {
    parsed = parseCommandLine(commands, host.argv);
  } catch (error) {
    const terminal = makeTerminal(host, early, false, false);
    printError(
      terminal,
      error,
      makeEnvelope({
        command: "",
        cliVersion: host.version,
        startedAt,
        durationMs: 0,
        target: undefined,
        dryRun: false,
        result: undefined,
        error,
      }),
      false,
    );
    return failureCodeOf(commands, host.argv) ?? exitCodeOfError(error);
  }
  if (parsed.kind === "version") {
    host.stdout.write(`${host.version}\n`);
    return exitCode.ok;
  }
  if (parsed.kind === "help") {
    host.stdout.write(`${helpText(commands, parsed.topic)}\n`);
    return exitCode.ok;
  }
  const { command, input } = parsed;
  const debug = toggle(input, "debug") === true;
  const form = formOf(input);
  const terminal = makeTerminal(host, form, toggle(input, "quiet") === true, toggle(input, "color"));
  terminal.event("start", { command: command.name, cliVersion: host.version });
  const outcome = await execute(command, input, host, terminal);
  const envelope = makeEnvelope({
    command: command.name,
    cliVersion: host.version,
    startedAt,
    durationMs: performance.now() - started,
    target: outcome.target,
    dryRun: toggle(input, "dry-run") === true,
    result: outcome.result,
    error: outcome.error,
  });
  if (outcome.error !== undefined) {
    printError(terminal, outcome.error, envelope, debug);
    return command.failureCode ?? signalCode(host.signal) ?? exitCodeOfError(outcome.error);
  }
  printResult(terminal, outcome.result!, envelope);
  if (outcome.result!.exitCode !== undefined) return outcome.result!.exitCode;
  if (host.signal.aborted && command.effect !== "reads") return signalCode(host.signal)!;
  return outcome.result!.gate ? exitCodeOfFindings(outcome.result!.findings ?? [], failOn(input)) : exitCode.ok;
}

async function execute(command: Command, input: Input, host: Host, terminal: Terminal) {
  const cleanups: (() => Promise<unknown>)[] = [];
  let made: MadeContext | undefined;
  let target: Target | undefined;
  let result: CommandResult | undefined;
  let error: unknown;
  const deadline = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    const timeout = text(input, "timeout");
    if (timeout !== undefined) {
      const ms = parseDurationMs(timeout);
      timer = setTimeout(() => deadline.abort(new CommandTimeoutError(ms)), ms);
    }
    const signal = AbortSignal.any([host.signal, deadline.signal]);
    // What a command needs is read when one runs: help and version answer at once.
    const { createContext } = await import("./context-factory.ts");
    made = await createContext({
      input,
      staysUp: command.staysUp === true,
      host,
      terminal,
      signal,
      defer: (cleanup) => cleanups.push(cleanup),
      confirm: (plan) =>
        confirmByName(plan, {
          terminal,
          stdin: host.stdin,
          prompts: host.stderr,
          interactive: toggle(input, "input") !== false,
          confirmed: text(input, "confirm"),
          production: made!.production(),
          allowProduction: toggle(input, "allow-production") === true,
        }),
    });
    const implementation = await command.load();
    // Gives a deadline that passed while the code was read its turn, before anything is begun.
    if (timer) await new Promise((resolve) => setTimeout(resolve));
    if (signal.aborted) throw reasonOf(signal);
    result = await untilAborted(implementation(made.context, input), signal, command.effect);
  } catch (caught) {
    error = caught;
  } finally {
    clearTimeout(timer);
    target = made?.target();
    for (const cleanup of cleanups.toReversed()) {
      await cleanup().catch((cleanupError: unknown) =>
        terminal.warn(`while ending: ${redactUrls(messageOf(cleanupError))}`),
      );
    }
  }
  return { result, error, target };
}

// A command that hears the signal ends by itself, with its own report; this is the bound for one that does not. What
// only reads loses nothing when it is left; what changes something is given time to roll back.
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal, effect: Effect): Promise<T> {
  const graceMs = effect === "reads" ? 250 : 4_000;
  let onAbort = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      const timer = setTimeout(() => reject(reasonOf(signal)), graceMs);
      work.finally(() => clearTimeout(timer)).catch(() => undefined);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (signal.aborted && signal.reason instanceof CommandTimeoutError) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    late.catch(() => undefined);
  }
}

// Of a line that could not be read: its words are all there is.
function failureCodeOf(commands: readonly Command[], argv: readonly string[]): number | undefined {
  const words = argv.filter((word) => !word.startsWith("-")).join(" ");
  return commands.find(({ name, failureCode }) => failureCode !== undefined && `${words} `.startsWith(`${name} `))
    ?.failureCode;
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new InterruptedError(String(signal.reason));
}

function printResult(terminal: Terminal, result: CommandResult, envelope: Envelope): void {
  terminal.clearLive();
  if (terminal.form === "json") return terminal.data(JSON.stringify(envelope, null, 2));
  if (terminal.form === "stream-json") return terminal.event("result", envelope);
  if (result.text !== "") terminal.data(result.text);
  for (const warning of result.warnings ?? []) terminal.warn(warning);
  if (result.next?.length)
    terminal.say(terminal.paint("dim", ["next:", ...result.next.map((each) => `  ${each}`)].join("\n")));
}

function printError(terminal: Terminal, error: unknown, envelope: Envelope, debug: boolean): void {
  terminal.clearLive();
  if (terminal.form === "json") terminal.data(JSON.stringify(envelope, null, 2));
  else if (terminal.form === "stream-json") terminal.event("error", envelope);
  else {
    const { message, hint, detail, sqlstate } = describeError(error, envelope.target ?? undefined);
    const lines = [
      `${terminal.paint("red", "error:")} ${message}${sqlstate === null ? "" : ` (SQLSTATE ${sqlstate})`}`,
    ];
    if (detail !== null) lines.push(`  ${detail.replaceAll("\n", "\n  ")}`);
    if (hint !== null) lines.push(`  ${hint}`);
    if (isBug(error) && !isDbError(error))
      lines.push("  This is a bug: please report it with the output of the same command and --debug.");
    if (debug && error instanceof Error) lines.push(redactUrls(error.stack ?? ""));
    // What is doubtful is told together with what is wrong: one run, one list.
    if (isDbError(error, "CONFIG_INVALID")) {
      for (const { title } of (error as { warnings?: readonly Finding[] }).warnings ?? [])
        lines.push(`  ${terminal.paint("yellow", "warning:")} ${title}`);
    }
    terminal.problem(lines.join("\n"));
  }
}

function signalCode(signal: AbortSignal): number | undefined {
  if (!signal.aborted) return undefined;
  return signal.reason === "SIGTERM" ? exitCode.terminated : exitCode.interrupted;
}

function failOn(input: Input): FailOn {
  const value = text(input, "fail-on");
  return value === "warning" || value === "warn" ? "warn" : value === "never" ? "never" : "critical";
}

function formOf(input: Input): OutputForm {
  if (toggle(input, "json") === true) return "json";
  return (text(input, "output") as OutputForm | undefined) ?? "text";
}

// A command line that cannot be parsed still answers in JSON when it was asked to.
function earlyForm(argv: readonly string[]): OutputForm {
  return argv.includes("--json") || argv.includes("--output=json") ? "json" : "text";
}

function makeTerminal(host: Host, form: OutputForm, quiet: boolean, color: boolean | undefined): Terminal {
  const wanted = color ?? (host.stderr.isTTY === true && !host.env["NO_COLOR"] && host.env["TERM"] !== "dumb");
  return new Terminal({ stdout: host.stdout, stderr: host.stderr, form, quiet, colors: wanted && form === "text" });
}
