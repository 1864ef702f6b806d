export {
  type AcceptedValuesRule,
  type CustomSqlRule,
  type Dimension,
  type ExpressionRule,
  type ForeignKeyRule,
  type FreshnessRule,
  type FunctionalDependencyRule,
  type LengthRule,
  type NotNullRule,
  type PatternRule,
  type RangeRule,
  type RowCountRule,
  type RuleBase,
  ruleColumns,
  ruleDimension,
  ruleId,
  type RuleKind,
  ruleKinds,
  severityWeight,
  type UniqueRule,
  type ValidationRule,
} from "./rule.ts";
export type {
  Catalog,
  CatalogCheck,
  CatalogColumn,
  CatalogForeignKey,
  CatalogTable,
  CatalogUnique,
} from "./catalog.ts";
export { readCatalog } from "./catalog.ts";
export { InvalidRulesError, InvalidValidationOptionsError, type RuleProblem } from "./errors.ts";
export { validationDefaults, type ValidationOptions } from "./options.ts";
export type { PlannedRule, StepTarget, ValidationPlan, ValidationStep } from "./plan.ts";
export type { ConstraintProposal } from "./promote.ts";
export type { RuleResult, RuleStatus, TableScore, ValidationReport } from "./report.ts";
export { explainValidation, runValidation } from "./run.ts";
export { checkSchema } from "./schema-check.ts";
export {
  type Confidence,
  type RuleSuggestion,
  suggestRules,
  type SuggestionOptions,
  type SuggestionReport,
} from "./suggest.ts";
