import type { Dimension } from "./rule.ts";
import type { RuleResult } from "./report.ts";

/** The most a report can score while a critical rule fails. */
export const criticalCap = 59;

/** Share of failing rows at which a rule is worth nothing: ten times what `mostly` allows, at least 1 %. */
export function worthlessRatio(mostly: number): number {
  return Math.max(0.01, 10 * (1 - mostly));
}

/** Mean by weight of each dimension's rules, 0 to 100. Rules without a value have no say. */
export function scoreDimensions(results: readonly RuleResult[]): Partial<Record<Dimension, number>> {
  const scored = results.filter((result) => result.value !== null);
  const groups = Map.groupBy(scored, (result) => result.dimension);
  return Object.fromEntries(
    [...groups].map(([dimension, group]) => {
      const weight = group.reduce((sum, result) => sum + result.weight, 0);
      return [dimension, oneDecimal((100 * group.reduce((sum, r) => sum + r.weight * r.value!, 0)) / weight)];
    }),
  );
}

/** The score of some results, 0 to 100, as `ValidationReport.score` says; null when none has a value. */
export function scoreResults(results: readonly RuleResult[]): number | null {
  const dimensions = Object.values(scoreDimensions(results));
  if (dimensions.length === 0) return null;
  const mean = dimensions.reduce((sum, value) => sum + value, 0) / dimensions.length;
  const capped = results.some((result) => result.status === "failed" && result.severity === "critical");
  return oneDecimal(capped ? Math.min(mean, criticalCap) : mean);
}

// Rounded down: 100 is said only when nothing at all is wrong.
function oneDecimal(value: number): number {
  return Math.floor(value * 10 + 1e-9) / 10;
}
