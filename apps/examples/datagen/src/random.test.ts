import { describe, expect, test } from "vitest";
import { createRandom, weighted } from "./random.ts";

describe("createRandom", () => {
  test("gives the same values for the same seed and label, on every machine", () => {
    const random = createRandom(2024, "bills");
    expect([random.below(1000), random.below(1000), random.below(1000), random.next()]).toMatchInlineSnapshot(`
      [
        819,
        652,
        25,
        0.9238080231007189,
      ]
    `);
  });

  test("gives other values for another label or seed", () => {
    const first = createRandom(1, "a").next();
    expect(createRandom(1, "b").next()).not.toBe(first);
    expect(createRandom(2, "a").next()).not.toBe(first);
  });

  test("spreads evenly, and skews toward low numbers when asked", () => {
    const random = createRandom(7, "spread");
    const even = Array.from({ length: 20_000 }, () => random.below(10));
    for (let n = 0; n < 10; n++) expect(even.filter((value) => value === n).length / 2_000).toBeCloseTo(1, 0.9);
    const skewed = Array.from({ length: 20_000 }, () => random.skewed(1000, 4));
    expect(skewed.filter((value) => value < 10).length).toBeGreaterThan(5_000);
    expect(Math.max(...skewed)).toBeLessThan(1000);
  });

  test("distinct gives ascending different numbers, and all of them when too many are asked for", () => {
    const random = createRandom(7, "distinct");
    const some = random.distinct(50, 60);
    expect(new Set(some).size).toBe(50);
    expect(some).toEqual(some.toSorted((a, b) => a - b));
    expect(random.distinct(9, 4)).toEqual([0, 1, 2, 3]);
  });
});

describe("weighted", () => {
  test("gives every entry a slot, and its share of the rest", () => {
    const table = weighted([
      ["often", 999],
      ["rarely", 0.1],
    ]);
    expect(table.filter((entry) => entry === "rarely")).toHaveLength(1);
    expect(table.length).toBeGreaterThan(990);
  });
});
