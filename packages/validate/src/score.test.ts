import { describe, expect, test } from "vitest";
import type { RuleResult } from "./report.ts";
import { scoreDimensions, scoreResults, worthlessRatio } from "./score.ts";

function result(value: number | null, rest: Partial<RuleResult> = {}): RuleResult {
  const status = value === null ? "error" : value === 1 ? "passed" : "failed";
  return { value, status, weight: 1, severity: "warn", dimension: "validity", ...rest } as RuleResult;
}

describe("the score", () => {
  test("is 100 when all rules hold, and null when none could be checked", () => {
    expect(scoreResults([result(1), result(1)])).toBe(100);
    expect(scoreResults([result(null)])).toBeNull();
    expect(scoreResults([])).toBeNull();
  });

  test("is the mean of the dimensions, whatever the number of their rules", () => {
    const many = Array.from({ length: 40 }, () => result(1));
    expect(scoreResults([...many, result(0, { dimension: "integrity" })])).toBe(50);
  });

  test("takes a dimension as the mean of its rules by weight", () => {
    expect(scoreDimensions([result(1, { weight: 3 }), result(0)])).toEqual({ validity: 75 });
  });

  test("is at most 59 while a critical rule fails", () => {
    const critical = result(0.99, { severity: "critical" });
    expect(scoreResults([result(1, { dimension: "integrity" }), critical])).toBe(59);
  });

  test("is never rounded up to 100", () => {
    expect(scoreResults([result(0.9999)])).toBe(99.9);
  });

  test("leaves out rules that could not be checked", () => {
    expect(scoreResults([result(1), result(null)])).toBe(100);
  });
});

test("a rule is worth nothing at ten times the failures it allows, at least 1 %", () => {
  expect(worthlessRatio(1)).toBe(0.01);
  expect(worthlessRatio(0.9995)).toBe(0.01);
  expect(worthlessRatio(0.95)).toBeCloseTo(0.5);
});
