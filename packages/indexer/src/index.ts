export { analyzeIndexes } from "./analyze.ts";
export { type Applicable, applyRecommendation, type ApplyResult, dropIndex } from "./apply.ts";
export type { DuplicateIndex, ForeignKeyWithoutIndex, InvalidIndexFacts, UnusedIndex } from "./audit.ts";
export {
  createIndexSql,
  dropIndexSql,
  type IndexDefinition,
  type IndexKey,
  type IndexMethod,
  indexName,
} from "./definition.ts";
export {
  IndexApplyError,
  IndexBusyError,
  IndexLockTimeoutError,
  IndexNameTakenError,
  IndexReadOnlyError,
  InvalidIndexError,
  UnmeasurableQueryError,
} from "./errors.ts";
export type { PlanNode, PlanSummary } from "./explain.ts";
export { type MeasuredQuery, type MeasureOptions, measureQuery, type QueryMeasurement } from "./measure.ts";
export { type AnalyzeOptions, analyzeDefaults, applyDefaults, type ApplyOptions } from "./options.ts";
export { applyIndexPack, type IndexPack, type IndexPackPlan, type PackIndex, planIndexPack } from "./pack.ts";
export type { HelpedStatement, IndexRecommendation, IndexReport, UncoveredStatement } from "./report.ts";
export type { WorkloadStatement } from "./snapshot.ts";
export { applyAndMeasure, type TrialOptions, type TrialResult } from "./trial.ts";
