import { describe, expect, test } from "vitest";
import { bootstrapMedian, median, percentile, roundFigure, summarize } from "./statistics.ts";

describe("median", () => {
  test("is the middle value by size, not by place", () => expect(median([10, 9, 100])).toBe(10));
  test("of an even number of values is the mean of the two middle ones", () => expect(median([1, 2, 4, 100])).toBe(3));
  test("does not reorder what it is given", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
  test("of nothing is an error, not a number", () => expect(() => median([])).toThrow(RangeError));
});

test("a percentile is a value that occurred", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([0, 0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 50, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
});

test("the bounds of a median hold it, narrow with more values, and are the same for the same seed", () => {
  const values = (count: number): number[] => Array.from({ length: count }, (_, n) => ((n * 7919) % 101) - 50);
  const [low, high] = bootstrapMedian(values(20), { seed: 1 });
  const [lower, higher] = bootstrapMedian(values(400), { seed: 1 });
  expect(low).toBeLessThanOrEqual(median(values(20)));
  expect(high).toBeGreaterThanOrEqual(median(values(20)));
  expect(higher - lower).toBeLessThan(high - low);
  expect(bootstrapMedian(values(20), { seed: 1 })).toEqual([low, high]);
});

test("a summary holds the extremes", () => {
  expect(summarize([2, 9, 4])).toEqual({ median: 4, min: 2, max: 9 });
});

test("figures keep four digits, large or small", () => {
  expect([1234567, 0.00123456, 2].map(roundFigure)).toEqual([1235000, 0.001235, 2]);
});
