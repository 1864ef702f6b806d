import type { Absence, Arena, Benchmark, BenchmarkCase, Contender, Figures, Measurement, Run } from "./benchmark.ts";
import { UsageError, WrongAnswerError } from "./errors.ts";
import { collectGarbage } from "./garbage.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { packageVersion } from "./package-version.ts";
import { mixSeed, shuffle } from "./shuffle.ts";

/** How a benchmark is run. */
export interface RunOptions {
  /** Fewer rounds and, where a benchmark says so, less work. Default false. */
  readonly quick?: boolean;
  /** Measured rounds. Default 7, or 3 when quick. */
  readonly rounds?: number;
  /** Of the order of contenders and of the work. Default 1. */
  readonly seed?: number;
  /** Names of the cases to run. Default: those that are not left to being asked for. */
  readonly cases?: readonly string[];
  readonly signal?: AbortSignal;
  /** Progress, a line at a time. Default: silent. */
  readonly say?: (text: string) => void;
}

/** What a benchmark brought, ready for JSON. */
export interface BenchmarkReport {
  readonly name: string;
  readonly title: string;
  /** Measured rounds; one more came before them to warm up. */
  readonly rounds: number;
  readonly figures: Figures;
  readonly quick: boolean;
  readonly seed: number;
  readonly contenders: readonly { readonly name: string; readonly version: string }[];
  readonly cases: readonly BenchmarkCase[];
  readonly skipped: readonly Absence[];
  readonly machine: Machine;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly measurements: readonly Measurement[];
}

/**
 * Runs a benchmark: one round to warm up, then the measured ones. In every round each contender has one run of each
 * case, in a new random order. Every answer is checked.
 * @throws {WrongAnswerError} and whatever setup or a contender throws, after the servers are gone
 */
export async function runBenchmark(benchmark: Benchmark, options: RunOptions = {}): Promise<BenchmarkReport> {
  const { quick = false, seed = 1, signal = new AbortController().signal, say = () => undefined } = options;
  const rounds = options.rounds ?? (quick ? 3 : 7);
  const startedAt = new Date();
  const machine = describeMachine();
  say(`${benchmark.title}: setting up`);
  const chosen = chooseCases(benchmark, quick, options.cases);
  const names = chosen.map(({ name }) => name);
  await using arena = await benchmark.setup({ quick, cases: names, signal, say });
  const skipped = arena.absent ?? [];
  for (const { contender, case: name, reason } of skipped) say(`without ${contender ?? name}: ${reason}`);
  const cases = chosen.filter(
    ({ name }) => !skipped.some((each) => each.contender === undefined && each.case === name),
  );
  const measurements: Measurement[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    say(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    for (const [position, { name }] of cases.entries()) {
      const present = benchmark.contenders.filter((contender) => !isAbsent(skipped, contender, name));
      const run: Run = { round, case: name, quick, seed: mixSeed(seed, round) };
      for (const contender of shuffle(present, mixSeed(seed, round, position))) {
        signal.throwIfAborted();
        const measurement = await measure(benchmark, contender, arena, run);
        if (round > 0) measurements.push(measurement);
      }
    }
  }
  const ordered = inOrder(measurements, benchmark);
  return {
    name: benchmark.name,
    title: benchmark.title,
    rounds,
    figures: benchmark.figures(ordered),
    quick,
    seed,
    contenders: await versionsOf(benchmark, arena, ordered),
    cases,
    skipped,
    machine: { ...machine, postgres: arena.postgres },
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    measurements: ordered,
  };
}

/** @throws {UsageError} for a case there is not */
function chooseCases(
  { name: benchmark, cases = [{ name: "", title: "" }] }: Benchmark,
  quick: boolean,
  asked: readonly string[] | undefined,
): readonly BenchmarkCase[] {
  if (asked !== undefined) {
    const unknown = asked.find((each) => !cases.some(({ name }) => name === each));
    if (unknown === undefined) return cases.filter(({ name }) => asked.includes(name));
    throw new UsageError(`${benchmark} has no case "${unknown}"`, {
      hint: `There are: ${cases.map(({ name }) => name).join(", ")}.`,
    });
  }
  const quickOnes = cases.filter(({ only }) => only === "quick");
  return quick && quickOnes.length > 0 ? quickOnes : cases.filter(({ only }) => only === undefined);
}

async function measure(benchmark: Benchmark, contender: Contender, arena: Arena, run: Run): Promise<Measurement> {
  const job = await contender.prepare(arena, run);
  collectGarbage();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const outcome = await job();
  const durationMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const problem = await benchmark.check(arena, run, outcome);
  if (problem !== undefined) {
    throw new WrongAnswerError({ benchmark: benchmark.name, contender: contender.name, problem });
  }
  return {
    round: run.round,
    case: run.case,
    contender: contender.name,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    operations: outcome.operations,
    cpuMs: Math.round((user + system) / 1_000),
    facts: outcome.facts ?? {},
  };
}

/** By round, case and contender as the benchmark names them: the order of the runs themselves was random. */
function inOrder(measurements: readonly Measurement[], { cases = [], contenders }: Benchmark): Measurement[] {
  const place = (each: Measurement): number =>
    cases.findIndex(({ name }) => name === each.case) * contenders.length +
    contenders.findIndex(({ name }) => name === each.contender);
  return measurements.toSorted((a, b) => a.round - b.round || place(a) - place(b));
}

/** A reason without a case leaves the contender out of all of them. */
function isAbsent(skipped: readonly Absence[], { name }: Contender, inCase: string): boolean {
  return skipped.some((each) => each.contender === name && (each.case === undefined || each.case === inCase));
}

/** Of those that took part. */
function versionsOf(
  { contenders }: Benchmark,
  arena: Arena,
  measurements: readonly Measurement[],
): Promise<BenchmarkReport["contenders"]> {
  const present = contenders.filter(({ name }) => measurements.some((each) => each.contender === name));
  return Promise.all(
    present.map(async (contender) => ({
      name: contender.name,
      version: contender.package
        ? `${contender.package} ${await packageVersion(contender.package)}`
        : (arena.versions?.[contender.name] ?? "unknown"),
    })),
  );
}
