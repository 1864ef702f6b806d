import type { DatabaseLike } from "@db/core";
import { type Applicable, applyRecommendation, type ApplyResult, dropIndex } from "./apply.ts";
import { indexName } from "./definition.ts";
import { type MeasuredQuery, measureQuery, type MeasureOptions, type QueryMeasurement } from "./measure.ts";
import type { ApplyOptions } from "./options.ts";

/** How an index is tried. */
export interface TrialOptions extends ApplyOptions, MeasureOptions {
  /** Least share of the query's time the index must save to stay, 0 to 1. Default 0.1. */
  readonly minImprovement?: number;
}

/** What an index did for a query. Plain data. */
export interface TrialResult {
  readonly index: string;
  readonly before: QueryMeasurement;
  readonly after: QueryMeasurement;
  /** Share of the median time saved; negative when it got slower. */
  readonly improvement: number;
  /** True when the new plan uses the index. */
  readonly used: boolean;
  /** `kept`, `rolled-back` when it did not help, or `present` when it was there before and so is not judged. */
  readonly outcome: "kept" | "rolled-back" | "present";
  readonly apply: ApplyResult;
  readonly rollback: ApplyResult | null;
}

/**
 * Measures a query, makes the index, measures again; drops the index when the plan does not use it or the query is
 * not at least `minImprovement` faster. When measuring the second time fails, the new index is dropped as well.
 * @throws as `applyRecommendation` and `measureQuery`
 */
export async function applyAndMeasure(
  db: DatabaseLike,
  recommendation: Applicable,
  query: MeasuredQuery,
  options: TrialOptions = {},
): Promise<TrialResult> {
  const { minImprovement = 0.1, dryRun: _never, ...rest } = options;
  const before = await measureQuery(db, query, rest);
  const apply = await applyRecommendation(db, recommendation, rest);
  const { schema = "public" } = recommendation.definition;
  const name = indexName(recommendation.definition);
  const undo = (): Promise<ApplyResult> => {
    const { signal: _fired, ...unstoppable } = rest;
    return dropIndex(db, { schema, name }, unstoppable);
  };
  let after: QueryMeasurement;
  try {
    after = await measureQuery(db, query, rest);
  } catch (error) {
    if (apply.outcome === "created") await undo();
    throw error;
  }
  const improvement = before.medianMs === 0 ? 0 : 1 - after.medianMs / before.medianMs;
  const used = after.plan.indexes.some((index) => apply.names.includes(index));
  const judged = { index: name, before, after, improvement, used, apply };
  if (apply.outcome === "present") return { ...judged, outcome: "present", rollback: null };
  if (used && improvement >= minImprovement) return { ...judged, outcome: "kept", rollback: null };
  return { ...judged, outcome: "rolled-back", rollback: await undo() };
}
