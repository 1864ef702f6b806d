import type { Finding, Severity } from "@db/core";
import type { ConstraintProposal } from "./promote.ts";
import type { Dimension, RuleKind } from "./rule.ts";

/** How checking a rule ended. */
export type RuleStatus = "proved" | "passed" | "failed" | "error";

/** What became of one rule. */
export interface RuleResult {
  readonly id: string;
  readonly kind: RuleKind;
  /** `public.bills`. */
  readonly table: string;
  readonly columns: readonly string[];
  /** `proved`: a constraint guarantees it, no row was read. `error`: not checked, and without a say in the score. */
  readonly status: RuleStatus;
  readonly severity: Severity;
  readonly dimension: Dimension;
  readonly weight: number;
  readonly mostly: number;
  /** Rows the rule spoke of; null when not counted. */
  readonly checked: number | null;
  /** Rows that break it; null when not counted. For `unique`, the rows that are too many. */
  readonly violations: number | null;
  /** `violations / checked`, 0 to 1. */
  readonly ratio: number | null;
  /** What a `row-count` (rows) or `freshness` (age in ms) rule saw. */
  readonly observed: number | null;
  /** 0 to 1, its part in the score; null when it has none. */
  readonly value: number | null;
  readonly provedBy: string | null;
  /** One sentence. Holds no row values. */
  readonly message: string;
  /** Keys of failing rows as text, when asked for: primary key, else ctid. */
  readonly sample: { readonly columns: readonly string[]; readonly keys: readonly (readonly string[])[] } | null;
}

/** The score of one table. */
export interface TableScore {
  readonly table: string;
  /** 0 to 100, one decimal; null when no rule of the table could be checked. */
  readonly score: number | null;
  readonly rules: number;
  readonly failed: number;
}

/** What a validation found. Plain data: `--json` prints it as it is. */
export interface ValidationReport {
  /**
   * 0 to 100, one decimal; null when nothing could be checked. A rule counts 1 when it holds; when it fails,
   * `1 − v/v0` but at least 0, v being its share of failing rows and v0 ten times the share its `mostly` allows,
   * at least 1 %. Each dimension is the mean of its rules by weight; the score is the mean of the dimensions,
   * times 100, and at most 59 while a critical rule fails.
   */
  readonly score: number | null;
  readonly dimensions: Readonly<Partial<Record<Dimension, number>>>;
  readonly tables: readonly TableScore[];
  /** Share of the columns of these tables that a rule or a constraint watches, 0 to 1. */
  readonly coverage: number | null;
  readonly counts: Readonly<Record<RuleStatus, number>>;
  readonly results: readonly RuleResult[];
  /** Failed rules, rules that could not be checked, gaps in the schema; worst first. */
  readonly findings: readonly Finding[];
  /** Rules that hold now and could be constraints, with the statements that make them so without a long lock. */
  readonly recommendations: readonly ConstraintProposal[];
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** Statements that read tables. */
  readonly statements: number;
}
