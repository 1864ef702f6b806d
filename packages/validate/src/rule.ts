import type { Severity } from "@db/core";

/**
 * The side of quality a rule watches. The score is first taken per dimension, so that forty pattern rules do not
 * drown one orphan.
 */
export type Dimension = "completeness" | "uniqueness" | "validity" | "consistency" | "integrity" | "timeliness";

/** What every rule has. A rule is plain data: it can be written in JSON, kept in a repository, sent over a wire. */
export interface RuleBase {
  /** Names the rule in results and problems; unique within a run. Default: made of kind, table and columns. */
  readonly id?: string;
  /**
   * `table` (found through the search path) or `schema.table`, as the catalog spells it, upper case included.
   * A part that itself holds a dot stands in double quotes.
   */
  readonly table: string;
  /** How much a failure matters. Default `warn`. */
  readonly severity?: Severity;
  /** Its share in the score, above 0. Default by severity: critical 8, warn 3, info 1. */
  readonly weight?: number;
  /** SQL predicate: only rows that satisfy it are checked. Default: every row. */
  readonly where?: string;
  /** Share of the checked rows that must comply, above 0 to 1. Default 1: every one. */
  readonly mostly?: number;
  /** Default by kind. */
  readonly dimension?: Dimension;
  /** What the rule means to the business; becomes the title of its finding. */
  readonly description?: string;
  /** What to do about failures; becomes the hint of its finding. */
  readonly hint?: string;
}

/** The column holds a value in every row. */
export interface NotNullRule extends RuleBase {
  readonly kind: "not-null";
  readonly column: string;
}

/** No two rows share these values. Rows with a NULL among them are not compared, as in a UNIQUE constraint. */
export interface UniqueRule extends RuleBase {
  readonly kind: "unique";
  readonly columns: readonly string[];
}

/** Every reference finds its row, whether or not a constraint says so. A NULL among the columns refers to nothing. */
export interface ForeignKeyRule extends RuleBase {
  readonly kind: "foreign-key";
  readonly columns: readonly string[];
  readonly references: { readonly table: string; readonly columns: readonly string[] };
}

/** The value lies between the bounds, both included. Bounds are written as PostgreSQL reads them for that type. */
export interface RangeRule extends RuleBase {
  readonly kind: "range";
  readonly column: string;
  readonly min?: number | string;
  readonly max?: number | string;
}

/** The text has between `min` and `max` characters, both included. */
export interface LengthRule extends RuleBase {
  readonly kind: "length";
  readonly column: string;
  readonly min?: number;
  readonly max?: number;
}

/** The text matches a POSIX regular expression of PostgreSQL; anchor it with `^` and `$` to match the whole. */
export interface PatternRule extends RuleBase {
  readonly kind: "pattern";
  readonly column: string;
  readonly pattern: string;
  readonly ignoreCase?: boolean;
}

/** The value is one of a list. */
export interface AcceptedValuesRule extends RuleBase {
  readonly kind: "accepted-values";
  readonly column: string;
  readonly values: readonly (string | number | boolean)[];
}

/** A predicate over the columns of one row holds: `shipped_at >= created_at`. NULL counts as holding, as in CHECK. */
export interface ExpressionRule extends RuleBase {
  readonly kind: "expression";
  readonly expression: string;
  /** The columns it is about, for the report. */
  readonly columns?: readonly string[];
}

/**
 * One value per group: wherever the determinant columns agree, so does the dependent one (a postcode has one town).
 * The most common value of a group is taken as right; the other rows are the violations.
 */
export interface FunctionalDependencyRule extends RuleBase {
  readonly kind: "functional-dependency";
  readonly determinant: readonly string[];
  readonly column: string;
}

/** The newest value of a date or timestamp column is at most `maxAgeMs` old. An empty table is not fresh. */
export interface FreshnessRule extends RuleBase {
  readonly kind: "freshness";
  readonly column: string;
  readonly maxAgeMs: number;
}

/** The number of rows lies between the bounds, both included. */
export interface RowCountRule extends RuleBase {
  readonly kind: "row-count";
  readonly min?: number;
  readonly max?: number;
}

/**
 * A query whose rows are the failures. It runs in a read-only transaction. `table` says which table is judged by
 * it, and its rows are the measure; `where` does not apply.
 */
export interface CustomSqlRule extends RuleBase {
  readonly kind: "custom-sql";
  readonly sql: string;
  /** Output columns that identify a failing row, for samples. Default: none, no samples. */
  readonly keys?: readonly string[];
}

/** One thing that must be true of the data. */
export type ValidationRule =
  | NotNullRule
  | UniqueRule
  | ForeignKeyRule
  | RangeRule
  | LengthRule
  | PatternRule
  | AcceptedValuesRule
  | ExpressionRule
  | FunctionalDependencyRule
  | FreshnessRule
  | RowCountRule
  | CustomSqlRule;

/** The kinds of rules. */
export type RuleKind = ValidationRule["kind"];

/** Weight of a rule that names none. */
export const severityWeight: Readonly<Record<Severity, number>> = Object.freeze({ critical: 8, warn: 3, info: 1 });

const dimensionOf: Readonly<Record<RuleKind, Dimension>> = {
  "not-null": "completeness",
  "row-count": "completeness",
  unique: "uniqueness",
  "foreign-key": "integrity",
  range: "validity",
  length: "validity",
  pattern: "validity",
  "accepted-values": "validity",
  expression: "consistency",
  "functional-dependency": "consistency",
  "custom-sql": "consistency",
  freshness: "timeliness",
};

/** All kinds, for checking rules that came as JSON. */
export const ruleKinds: readonly RuleKind[] = Object.freeze(Object.keys(dimensionOf) as RuleKind[]);

/** The dimension a rule counts in. */
export function ruleDimension(rule: ValidationRule): Dimension {
  return rule.dimension ?? dimensionOf[rule.kind];
}

/** The columns a rule is about, in its own order; none for rules about a whole table. */
export function ruleColumns(rule: ValidationRule): readonly string[] {
  switch (rule.kind) {
    case "unique":
    case "foreign-key":
      return rule.columns;
    case "expression":
      return rule.columns ?? [];
    case "row-count":
    case "custom-sql":
      return [];
    default:
      return [rule.column];
  }
}

/** The id a rule goes by when it names none: `range:bills.amount`. */
export function ruleId(rule: ValidationRule): string {
  if (rule.id !== undefined) return rule.id;
  const columns = ruleColumns(rule);
  return `${rule.kind}:${rule.table}${columns.length > 0 ? `.${columns.join(",")}` : ""}`;
}
