import { expect, test } from "vitest";
import { spread } from "./spread.ts";

test("the parts add up exactly and follow the weights", () => {
  expect(spread(10, [1, 2, 1])).toEqual([3, 5, 2]);
  const parts = spread(
    500_000,
    Array.from({ length: 2_007 }, (_, i) => 1 + (i % 7)),
  );
  expect(parts.reduce((a, b) => a + b, 0)).toBe(500_000);
});

test("gives fewer units than slots without losing one", () => {
  const parts = spread(3, [1, 1, 1, 1, 1, 1]);
  expect(parts.reduce((a, b) => a + b, 0)).toBe(3);
  expect(Math.max(...parts)).toBe(1);
});
