export type {
  Absence,
  Arena,
  Benchmark,
  BenchmarkCase,
  Contender,
  Figures,
  Job,
  Measurement,
  Outcome,
  Run,
  SetupContext,
} from "./benchmark.ts";
export { benchmarks, findBenchmark } from "./catalogue.ts";
export { type BenchmarkReport, runBenchmark, type RunOptions } from "./measuring.ts";
