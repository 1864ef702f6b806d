import { parseArgs } from "node:util";
import { isDbError, messageOf } from "@db/core";
import type { Benchmark } from "./benchmark.ts";
import { benchmarks, findBenchmark } from "./catalogue.ts";
import { UsageError } from "./errors.ts";
import { runBenchmark } from "./measuring.ts";
import { formatReport } from "./table.ts";

/** Where a command writes and what ends it. */
export interface CommandContext {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly signal: AbortSignal;
  /** Default: all. */
  readonly benchmarks?: readonly Benchmark[];
}

const usage = `usage: npm run -s bench -- <name> [--quick] [--case NAME]… [--rounds N] [--seed N] [--json]
       npm run -s bench -- list [--json]
`;

/**
 * Runs one command line. The result goes to `out`, everything else to `err`.
 * @returns the exit code: 0, 1 when the benchmark failed, 2 when the command line is wrong, 130 when interrupted
 */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<number> {
  const { out, err, signal, benchmarks: known = benchmarks } = context;
  try {
    const { name, json, help, ...options } = parseCommand(args);
    if (help) {
      out(usage);
      return 0;
    }
    if (name === "list") {
      out(json ? `${JSON.stringify({ benchmarks: known.map(describe) })}\n` : list(known));
      return 0;
    }
    const benchmark = findBenchmark(name, known);
    const report = await runBenchmark(benchmark, { ...options, signal, say: (text) => err(`${text}\n`) });
    out(json ? `${JSON.stringify(report)}\n` : formatReport(report));
    return 0;
  } catch (error) {
    if (signal.aborted) {
      err("interrupted\n");
      return 130;
    }
    err(explain(error));
    return isDbError(error, "BENCH_USAGE") ? 2 : 1;
  }
}

interface Command {
  readonly name: string;
  readonly json: boolean;
  readonly help: boolean;
  readonly quick: boolean;
  readonly rounds?: number;
  readonly seed?: number;
  readonly cases?: readonly string[];
}

/** @throws {UsageError} */
function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  const [name, ...rest] = positionals;
  const help = values.help ?? false;
  if (rest.length > 0) throw new UsageError(`one benchmark at a time, not ${positionals.join(", ")}`, { hint: usage });
  if (name === undefined && !help) throw new UsageError("no benchmark was named", { hint: usage });
  const rounds = wholeNumber("--rounds", values.rounds, 1);
  const seed = wholeNumber("--seed", values.seed, 0);
  return {
    name: name ?? "",
    json: values.json ?? false,
    help,
    quick: values.quick ?? false,
    ...(rounds === undefined ? {} : { rounds }),
    ...(seed === undefined ? {} : { seed }),
    ...(values.case === undefined ? {} : { cases: values.case }),
  };
}

/* oxlint-disable-next-line typescript/explicit-function-return-type */
function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        case: { type: "string", multiple: true },
        rounds: { type: "string" },
        seed: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error).split(". ")[0] ?? "", { cause: error, hint: usage });
  }
}

function wholeNumber(flag: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${flag} is "${text}", not a whole number from ${least}`);
}

function describe({ name, title }: Benchmark): { name: string; title: string } {
  return { name, title };
}

function list(known: readonly Benchmark[]): string {
  const width = Math.max(...known.map(({ name }) => name.length));
  return known.map(({ name, title }) => `${name.padEnd(width)}  ${title}\n`).join("");
}

function explain(error: unknown): string {
  if (!isDbError(error)) return `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`;
  return `error: ${error.message}\n${error.hint === undefined ? "" : `  ${error.hint.trimEnd()}\n`}`;
}
