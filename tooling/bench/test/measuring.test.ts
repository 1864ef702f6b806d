import { describe, expect, test } from "vitest";
import { WrongAnswerError } from "../src/errors.ts";
import { runBenchmark } from "../src/measuring.ts";
import { countingBenchmark } from "./counting.ts";

const right = { ours: 42, theirs: 42, others: 42 };
const cases = [
  { name: "small", title: "few" },
  { name: "large", title: "many" },
];

describe("runBenchmark", () => {
  test("runs every contender once a round and reports all rounds but the first", async () => {
    const benchmark = countingBenchmark(right);
    const report = await runBenchmark(benchmark, { rounds: 4 });
    expect(benchmark.runs).toHaveLength(5 * 3);
    expect(report.rounds).toBe(4);
    expect(report.measurements.map(({ round, contender }) => `${round} ${contender}`)).toEqual(
      [1, 2, 3, 4].flatMap((round) => Object.keys(right).map((name) => `${round} ${name}`)),
    );
  });

  test("measures 7 rounds, 3 when quick", async () => {
    expect((await runBenchmark(countingBenchmark(right))).rounds).toBe(7);
    expect((await runBenchmark(countingBenchmark(right), { quick: true })).rounds).toBe(3);
  });

  test("changes the order from round to round, the same way for the same seed", async () => {
    const orders = await Promise.all(
      [1, 1, 2].map(async (seed) => {
        const benchmark = countingBenchmark(right);
        await runBenchmark(benchmark, { seed });
        return benchmark.runs.map(({ contender }) => contender).join(" ");
      }),
    );
    expect(orders[0]).toBe(orders[1]);
    expect(orders[0]).not.toBe(orders[2]);
    const rounds = orders[0]?.match(/\w+ \w+ \w+/g) ?? [];
    expect(new Set(rounds).size).toBeGreaterThan(1);
  });

  test("gives all contenders of a round the same work, and every round another", async () => {
    const benchmark = countingBenchmark(right);
    await runBenchmark(benchmark, { rounds: 2 });
    const seeds = Map.groupBy(benchmark.runs, ({ round }) => round);
    const distinct = [...seeds.values()].map((runs) => new Set(runs.map(({ seed }) => seed)));
    expect(distinct.map((set) => set.size)).toEqual([1, 1, 1]);
    expect(new Set(distinct.flatMap((set) => [...set])).size).toBe(3);
  });

  test("gives no figures for a wrong answer, and clears away", async () => {
    const benchmark = countingBenchmark({ ours: 42, theirs: 41 });
    const failure = runBenchmark(benchmark);
    await expect(failure).rejects.toThrow(WrongAnswerError);
    await expect(failure).rejects.toThrow("wrong answer of theirs in count-up: 41 is not 42");
    expect(benchmark.disposed()).toBe(true);
  });

  test("leaves out what is absent, says why, and compares the rest", async () => {
    const absent = [
      { contender: "theirs", reason: "not installed" },
      { case: "large", reason: "no room" },
    ];
    const benchmark = countingBenchmark(right, { cases, absent });
    const report = await runBenchmark(benchmark, { rounds: 1 });
    expect(report.skipped).toEqual(absent);
    expect(report.contenders.map(({ name }) => name)).toEqual(["ours", "others"]);
    expect(report.cases.map(({ name }) => name)).toEqual(["small"]);
    expect(Object.keys(report.figures)).toContain("small_vs_others");
    expect(Object.keys(report.figures).join(" ")).not.toMatch(/theirs|large/);
  });

  test("runs the cases that are asked for, else the quick ones or all but those left to being asked for", async () => {
    const sized = [
      { name: "tiny", title: "tiny", only: "quick" },
      { name: "small", title: "small" },
      { name: "large", title: "large", only: "asked" },
    ] as const;
    const run = async (options: { quick?: boolean; cases?: string[] }): Promise<string[]> => {
      const report = await runBenchmark(countingBenchmark(right, { cases: sized }), { rounds: 1, ...options });
      return report.cases.map(({ name }) => name);
    };
    await expect(run({})).resolves.toEqual(["small"]);
    await expect(run({ quick: true })).resolves.toEqual(["tiny"]);
    await expect(run({ cases: ["large", "tiny"] })).resolves.toEqual(["tiny", "large"]);
    await expect(run({ cases: ["huge"] })).rejects.toMatchObject({
      code: "BENCH_USAGE",
      message: 'count-up has no case "huge"',
      hint: "There are: tiny, small, large.",
    });
  });

  test("stops between runs when asked to, and clears away", async () => {
    const stop = new AbortController();
    const benchmark = countingBenchmark(right, {
      check: () => {
        stop.abort();
        return undefined;
      },
    });
    await expect(runBenchmark(benchmark, { signal: stop.signal })).rejects.toThrow("aborted");
    expect(benchmark.runs).toHaveLength(1);
    expect(benchmark.disposed()).toBe(true);
  });

  test("tells where it measured", async () => {
    const { machine } = await runBenchmark(countingBenchmark(right), { rounds: 1 });
    expect(machine).toMatchObject({ node: process.versions.node, cores: expect.any(Number), postgres: "" });
    expect(machine.cpu).not.toBe("");
  });
});
