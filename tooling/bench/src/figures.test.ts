import { describe, expect, test } from "vitest";
import type { Measurement } from "./benchmark.ts";
import { throughputFigures, timeFigures } from "./figures.ts";

/** One run of ten operations. */
function run(round: number, contender: string, durationMs: number, more: Partial<Measurement> = {}): Measurement {
  return { round, case: "", contender, durationMs, operations: 10, cpuMs: 5, facts: {}, ...more };
}

// The machine was ten times as slow in round 2; who is faster did not change.
const measurements = [
  run(1, "ours", 10),
  run(1, "theirs", 20),
  run(2, "ours", 100),
  run(2, "theirs", 250),
  run(3, "theirs", 30),
  run(3, "ours", 10),
];

describe("throughputFigures", () => {
  test("a ratio is the median of the ratios of each round, with its extremes", () => {
    expect(throughputFigures(measurements, "ours")).toMatchObject({
      vs_theirs: 2.5,
      vs_theirs_min: 2,
      vs_theirs_max: 3,
      ours_per_second: 1_000,
      theirs_per_second: 333.3,
      ours_cpu_us: 500,
    });
  });

  test("each case has figures of its own", () => {
    const cases = ["c1", "c64"].flatMap((name, index) => [
      run(1, "ours", 10, { case: name }),
      run(1, "theirs", 10 * (index + 2), { case: name }),
    ]);
    expect(throughputFigures(cases, "ours")).toMatchObject({ c1_vs_theirs: 2, c64_vs_theirs: 3 });
  });

  test("facts of the runs become medians", () => {
    const runs = [1, 2, 3].map((round) => run(round, "ours", 10, { facts: { p99_us: round * 7 } }));
    expect(throughputFigures(runs, "ours")).toMatchObject({ ours_p99_us: 14 });
  });

  test("without a peer there is no ratio", () => {
    const figures = throughputFigures([run(1, "ours", 10)], "ours");
    expect(Object.keys(figures)).toEqual(["ours_per_second", "ours_cpu_us"]);
  });
});

describe("timeFigures", () => {
  test("a time is a share of the peer's", () => {
    expect(timeFigures(measurements, "ours")).toMatchObject({ time_vs_theirs: 0.4, ours_ms: 10, theirs_ms: 30 });
  });

  test("the fastest peer may be another one in every round; our own variants are none", () => {
    const figures = timeFigures(
      [
        run(1, "ours", 10),
        run(1, "a", 10),
        run(1, "b", 20),
        run(1, "db_other", 1),
        run(2, "ours", 10),
        run(2, "a", 40),
        run(2, "b", 5),
        run(2, "db_other", 1),
      ],
      "ours",
    );
    expect(figures).toMatchObject({ time_vs_fastest_peer_min: 1, time_vs_fastest_peer_max: 2, time_vs_db_other: 10 });
  });
});
