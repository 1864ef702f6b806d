import type { Arena, Benchmark, Measurement, Run } from "../src/benchmark.ts";
import { throughputFigures } from "../src/figures.ts";

/** A benchmark without a server: what was run, and whether it was cleared away. */
export interface CountingBenchmark extends Benchmark<Arena, number> {
  readonly runs: (Run & { readonly contender: string })[];
  readonly disposed: () => boolean;
}

/** Contenders that answer with a number; 42 is the right one. */
export function countingBenchmark(
  answers: Readonly<Record<string, number>>,
  more: Partial<Benchmark<Arena, number>> & { readonly absent?: Arena["absent"] } = {},
): CountingBenchmark {
  const runs: CountingBenchmark["runs"] = [];
  let disposed = false;
  const { absent = [], ...rest } = more;
  return {
    name: "count-up",
    title: "Counting",
    setup: () =>
      Promise.resolve({
        postgres: "",
        absent,
        [Symbol.asyncDispose]: () => {
          disposed = true;
          return Promise.resolve();
        },
      }),
    contenders: Object.entries(answers).map(([name, answer]) => ({
      name,
      prepare: (_arena, run) => () => {
        runs.push({ ...run, contender: name });
        return Promise.resolve({ operations: 1, answer, facts: { answer } });
      },
    })),
    check: (_arena, _run, { answer }) => (answer === 42 ? undefined : `${answer} is not 42`),
    figures: (measurements: readonly Measurement[]) => throughputFigures(measurements, "ours"),
    ...rest,
    runs,
    disposed: () => disposed,
  };
}
