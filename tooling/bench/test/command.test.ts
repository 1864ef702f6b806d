import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Benchmark } from "../src/benchmark.ts";
import { benchmarks } from "../src/catalogue.ts";
import { runCommand } from "../src/command.ts";
import { countingBenchmark } from "./counting.ts";

async function run(args: readonly string[], known?: readonly Benchmark[], signal = new AbortController().signal) {
  const written = { out: "", err: "" };
  const code = await runCommand(args, {
    out: (text) => (written.out += text),
    err: (text) => (written.err += text),
    signal,
    ...(known ? { benchmarks: known } : {}),
  });
  return { code, ...written };
}

describe("runCommand", () => {
  test("--json writes one object, and progress elsewhere", async () => {
    const { code, out, err } = await run(["count-up", "--quick", "--json"], [countingBenchmark({ ours: 42, b: 42 })]);
    expect(code).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(1);
    const report = JSON.parse(out) as { figures: Record<string, unknown> };
    expect(report).toMatchObject({ name: "count-up", rounds: 3, quick: true, seed: 1, skipped: [] });
    expect(Object.keys(report.figures)).toContain("vs_b");
    for (const figure of Object.values(report.figures)) expect(figure).toEqual(expect.any(Number));
    expect(err).toContain("round 3 of 3");
  });

  test("without --json the figures are a table", async () => {
    const { out } = await run(["count-up", "--rounds", "1"], [countingBenchmark({ ours: 42, b: 42 })]);
    expect(out).toMatch(/^Counting \(1 rounds?, seed 1\)\n/);
    expect(out).toMatch(/\nvs_b +[\d.]+\n/);
  });

  test("list names every benchmark once", async () => {
    const { code, out } = await run(["list"]);
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(benchmarks.map(({ name }) => name));
    expect(new Set(benchmarks.map(({ name }) => name)).size).toBe(benchmarks.length);
    expect(JSON.parse((await run(["list", "--json"])).out)).toHaveProperty("benchmarks.0.name", "pool-row");
  });

  test.each([
    [["pool-rows"], 'Did you mean "pool-row"?'],
    [["qqq"], "There are: pool-row, "],
    [[], "usage: npm run -s bench"],
    [["pool-row", "pool-errors"], "one benchmark at a time"],
    [["pool-row", "--rouns", "3"], "'--rouns'"],
    [["pool-row", "--rounds", "0"], '--rounds is "0", not a whole number from 1'],
    [["pool-row", "--seed", "x"], '--seed is "x"'],
  ])("refuses %j with exit code 2 and says what to do", async (args, text) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(text);
  });

  test("a wrong answer is exit code 1 and no result", async () => {
    const { code, out, err } = await run(["count-up", "--json"], [countingBenchmark({ ours: 1 })]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("error: wrong answer of ours in count-up: 1 is not 42");
  });

  test("interrupted, it says so and no more", async () => {
    const result = await run(["count-up"], [countingBenchmark({ ours: 42 })], AbortSignal.abort());
    expect(result).toMatchObject({ code: 130, out: "" });
    expect(result.err.endsWith("interrupted\n")).toBe(true);
  });
});

test("the program lists and refuses as a process of its own", () => {
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const start = (...args: string[]) =>
    spawnSync(process.execPath, ["--conditions=@db/source", main, ...args], { encoding: "utf8" });
  const listed = start("list");
  expect(listed).toMatchObject({ status: 0, stderr: "" });
  expect(listed.stdout).toContain("migrate-500");
  expect(start("pool-rwo")).toMatchObject({ status: 2, stdout: "" });
});
