import { expect, test } from "vitest";
import { Coverage } from "./coverage.ts";

test("covers a moment once all is stored that the server had written by then, and not before", () => {
  const coverage = new Coverage();
  expect([coverage.coveredUntil, coverage.lagBytes(5n)]).toEqual([undefined, undefined]);
  coverage.heard(100n, 1_000);
  coverage.heard(300n, 2_000);
  coverage.settle(99n);
  expect([coverage.coveredUntil, coverage.lagBytes(99n)]).toEqual([undefined, 201]);
  coverage.settle(250n);
  expect([coverage.coveredUntil, coverage.lagBytes(250n)]).toEqual([1_000, 50]);
  coverage.settle(300n);
  expect([coverage.coveredUntil, coverage.lagBytes(300n)]).toEqual([2_000, 0]);
});

test("an idle server that keeps telling the time moves the covered moment on", () => {
  const coverage = new Coverage();
  for (const time of [1_000, 2_000, 3_000]) coverage.heard(100n, time);
  coverage.settle(100n);
  expect(coverage.coveredUntil).toBe(3_000);
});
