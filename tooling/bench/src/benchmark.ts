/**
 * A benchmark, as data: contenders that do the same work, a check of every answer, and the figures made of the
 * measurements. The harness decides rounds, order, timing and report.
 */
export interface Benchmark<State extends Arena = Arena, Answer = unknown> {
  /** What is typed to run it: lower case words with dashes. */
  readonly name: string;
  /** One line for `list` and the head of the table. */
  readonly title: string;
  /** Variants of the work, each measured in every round. Default: one, without a name. */
  readonly cases?: readonly BenchmarkCase[];
  readonly contenders: readonly Contender<State, Answer>[];
  /** Starts servers and makes data; what it returns is disposed of at the end, also after a failure. */
  setup(context: SetupContext): Promise<State>;
  /** Says what is wrong with an answer, after the clock stopped; undefined when it is right. */
  check(state: State, run: Run, outcome: Outcome<Answer>): Promise<string | undefined> | string | undefined;
  figures(measurements: readonly Measurement[]): Figures;
}

/** A variant of the work: 64 callers, 1 caller. Its name begins the keys of its figures. */
export interface BenchmarkCase {
  readonly name: string;
  readonly title: string;
  /** Only when asked for by `--case`, or else only with `--quick`, in place of all others. Default: always. */
  readonly only?: "asked" | "quick";
}

/** One of those compared. */
export interface Contender<State extends Arena = Arena, Answer = unknown> {
  /** Lower case words with underscores: it is part of keys. */
  readonly name: string;
  /** The npm package whose version is reported; the arena tells those of other programs. */
  readonly package?: string;
  /** Makes ready what is not measured. What it returns is the work, and its time is taken. */
  prepare(state: State, run: Run): Promise<Job<Answer>> | Job<Answer>;
}

/** The work that is timed. */
export type Job<Answer = unknown> = () => Promise<Outcome<Answer>>;

/** What one run brought. */
export interface Outcome<Answer = unknown> {
  /** How many operations were done; a rate is made of it. */
  readonly operations: number;
  readonly answer: Answer;
  /** More numbers of this run: percentiles in microseconds, bytes stored. Units are in their names. */
  readonly facts?: Readonly<Record<string, number>>;
}

/** Which run this is. Round 0 warms up and is not reported. */
export interface Run {
  readonly round: number;
  /** Name of the case, empty without cases. */
  readonly case: string;
  readonly quick: boolean;
  /** Differs by round, not by contender: all of them get the same work. */
  readonly seed: number;
}

/** What a setup may use. */
export interface SetupContext {
  readonly quick: boolean;
  /** Names of the cases that will run. */
  readonly cases: readonly string[];
  readonly signal: AbortSignal;
  /** Tells the reader, on standard error, what takes time. */
  readonly say: (text: string) => void;
}

/** The servers and data of a benchmark. */
export interface Arena extends AsyncDisposable {
  /** `server_version` of the PostgreSQL that is measured; empty text without one. */
  readonly postgres: string;
  /** Contenders or cases that cannot run here, with the reason. */
  readonly absent?: readonly Absence[];
  /** Versions of contenders that are no npm packages, by name. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** Why a contender, or a case, is left out on this machine. */
export interface Absence {
  readonly contender?: string;
  readonly case?: string;
  readonly reason: string;
}

/** One timed run. */
export interface Measurement {
  readonly round: number;
  readonly case: string;
  readonly contender: string;
  readonly durationMs: number;
  readonly operations: number;
  /** Processor time of this process, user and system; servers and child processes are not in it. */
  readonly cpuMs: number;
  readonly facts: Readonly<Record<string, number>>;
}

/** Numbers by key; keys are lower case words with underscores. */
export type Figures = Readonly<Record<string, number>>;
