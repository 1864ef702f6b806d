import { compareFindings, type Finding, formatDuration } from "@db/core";
import type { PlannedRule, ValidationPlan } from "./plan.ts";
import type { RuleResult, RuleStatus, TableScore } from "./report.ts";
import { scoreResults, worthlessRatio } from "./score.ts";

/** What the statements of a plan told about one rule. */
export interface Measurement {
  readonly checked?: number | null;
  readonly violations?: number | null;
  readonly observed?: number | null;
  /** Why it could not be measured, without row values. */
  readonly error?: string;
}

/** Judges every rule of a plan by what was measured. Pure. */
export function evaluateRules(plan: ValidationPlan, measured: ReadonlyMap<string, Measurement>): readonly RuleResult[] {
  return plan.rules.map((rule) => evaluateRule(rule, measured.get(rule.id) ?? {}));
}

function evaluateRule(rule: PlannedRule, measurement: Measurement): RuleResult {
  const base = {
    id: rule.id,
    kind: rule.kind,
    table: rule.table,
    columns: rule.columns,
    severity: rule.severity,
    dimension: rule.dimension,
    weight: rule.weight,
    mostly: rule.mostly,
    checked: null,
    violations: null,
    ratio: null,
    observed: null,
    value: null,
    provedBy: null,
    sample: null,
  };
  if (rule.provedBy !== undefined) {
    const message = `${rule.provedBy} guarantees it`;
    return { ...base, status: "proved", value: 1, violations: 0, ratio: 0, provedBy: rule.provedBy, message };
  }
  if (measurement.error !== undefined) return { ...base, status: "error", message: measurement.error };
  if (rule.kind === "row-count" || rule.kind === "freshness") return observedResult(rule, measurement, base);
  if (measurement.violations == null) return { ...base, status: "error", message: "it was not measured" };
  const checked = measurement.checked ?? null;
  const violations = measurement.violations;
  // A query somebody wrote may return more rows than the table has.
  const ratio = violations === 0 ? 0 : checked === null || checked === 0 ? 1 : Math.min(1, violations / checked);
  const failed = ratio > 1 - rule.mostly + 1e-12;
  return {
    ...base,
    status: failed ? "failed" : "passed",
    checked,
    violations,
    ratio,
    value: failed ? Math.max(0, 1 - ratio / worthlessRatio(rule.mostly)) : 1,
    message: countMessage(violations, checked),
  };
}

function observedResult(
  rule: PlannedRule,
  { observed }: Measurement,
  base: Omit<RuleResult, "status" | "message">,
): RuleResult {
  if (rule.kind === "freshness") {
    const age = observed ?? null;
    const failed = age === null || age > rule.max!;
    const message = age === null ? "the table is empty" : `the newest row is ${formatDuration(Math.max(0, age))} old`;
    return { ...base, status: failed ? "failed" : "passed", observed: age, value: failed ? 0 : 1, message };
  }
  const rows = observed ?? 0;
  const failed = rows < (rule.min ?? 0) || rows > (rule.max ?? Infinity);
  const status: RuleStatus = failed ? "failed" : "passed";
  return { ...base, status, checked: rows, observed: rows, value: failed ? 0 : 1, message: `${grouped(rows)} rows` };
}

/** One finding for each rule that failed or could not be checked, worst first. */
export function ruleFindings(plan: ValidationPlan, results: readonly RuleResult[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, result] of results.entries()) {
    const rule = plan.rules[index]!;
    const subject = result.columns.length > 0 ? `${result.table} (${result.columns.join(", ")})` : result.table;
    const what = rule.description === undefined ? sentence(rule) : `rows that fail "${rule.description}"`;
    const says = `${what} in ${subject}`;
    if (result.status === "error") {
      findings.push({
        id: "DATA-RULE-NOT-CHECKED",
        severity: "warn",
        title: `not checked: ${says}: ${result.message}`,
        subject,
        hint: "The rule has no say in the score until it runs; see the message.",
      });
    }
    if (result.status !== "failed") continue;
    findings.push({
      id: `DATA-${rule.kind.toUpperCase()}`,
      severity: result.severity,
      title: `${says}: ${result.message}`,
      subject,
      ...(result.violations === null ? {} : { observed: result.violations, threshold: 0, unit: "rows" }),
      ...(result.violations !== null && result.checked !== null && rule.mostly < 1
        ? { threshold: Math.floor(result.checked * (1 - rule.mostly) + 1e-9) }
        : {}),
      ...(rule.hint === undefined ? {} : { hint: rule.hint }),
      ...(rule.keysSql === undefined ? {} : { command: `${rule.keysSql}\n limit 20` }),
    });
  }
  return findings.sort(compareFindings);
}

/** The score of each table, lowest first; tables without a score last. */
export function tableScores(results: readonly RuleResult[]): readonly TableScore[] {
  const groups = Map.groupBy(results, (result) => result.table);
  return [...groups]
    .map(([table, group]) => ({
      table,
      score: scoreResults(group),
      rules: group.length,
      failed: group.filter((result) => result.status === "failed").length,
    }))
    .sort((a, b) => (a.score ?? Infinity) - (b.score ?? Infinity) || a.table.localeCompare(b.table));
}

function sentence(rule: PlannedRule): string {
  const names: Readonly<Record<PlannedRule["kind"], string>> = {
    "not-null": "missing values",
    unique: "duplicates",
    "foreign-key": "references to nothing",
    range: "values out of range",
    length: "texts too short or too long",
    pattern: "values of another form",
    "accepted-values": "values outside the list",
    expression: "rows that contradict themselves",
    "functional-dependency": "values that differ within their group",
    freshness: "no recent rows",
    "row-count": "too few or too many rows",
    "custom-sql": "rows that fail a check",
  };
  return names[rule.kind];
}

function countMessage(violations: number, checked: number | null): string {
  if (violations === 0) return checked === null ? "no row fails" : `none of ${grouped(checked)} rows fails`;
  return checked === null ? `${grouped(violations)} rows` : `${grouped(violations)} of ${grouped(checked)} rows`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
