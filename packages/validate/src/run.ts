import { compareFindings, type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import { readCatalog } from "./catalog.ts";
import { InvalidRulesError } from "./errors.ts";
import { evaluateRules, ruleFindings, tableScores } from "./evaluate.ts";
import { measureRules } from "./measure.ts";
import { type ResolvedValidationOptions, resolveValidationOptions, type ValidationOptions } from "./options.ts";
import { planValidation, type ValidationPlan } from "./plan.ts";
import { probeRules } from "./probe.ts";
import { proposeConstraints } from "./promote.ts";
import type { RuleResult, RuleStatus, ValidationReport } from "./report.ts";
import { checkRules, type ResolvedRule } from "./rule-check.ts";
import type { ValidationRule } from "./rule.ts";
import { checkSchema } from "./schema-check.ts";
import { scoreDimensions, scoreResults } from "./score.ts";
import { attempt, checkSignal, readOneSnapshot } from "./session.ts";

/**
 * Checks the rules against the data and the schema against itself, in one read-only transaction on one snapshot.
 * Each table is read once for all the rules that judge single rows; each uniqueness, reference and query costs one
 * statement more; what a constraint proves costs nothing. One rule that breaks its statement takes no other with it.
 * @throws {InvalidRulesError} before any data is read, with every problem of every rule
 * @throws {InvalidValidationOptionsError}
 * @throws {AbortedError} when `signal` fires
 */
export async function runValidation(
  db: DatabaseLike,
  rules: readonly ValidationRule[],
  options: ValidationOptions = {},
): Promise<ValidationReport> {
  const resolved = resolveValidationOptions(options);
  const { clock, logger, metrics } = resolved;
  const started = clock.now();
  const report = await toDatabase(db).withTransaction(async (tx) => {
    await readOneSnapshot(tx, resolved);
    const catalog = await readCatalog(tx);
    const { checked, plan } = await prepare(tx, catalog, rules, resolved);
    const run = await measureRules(tx, checked, plan.steps, resolved);
    let results = evaluateRules(plan, run.measured);
    if (resolved.samples !== false) results = await sample(tx, plan, results, resolved.samples.limit, resolved.signal);
    const schema = resolved.schemaChecks ? checkSchema(catalog) : [];
    const findings = [...ruleFindings(plan, results), ...schema].sort(compareFindings);
    return {
      score: scoreResults(results),
      dimensions: scoreDimensions(results),
      tables: tableScores(results),
      coverage: plan.columns.total === 0 ? null : plan.columns.watched / plan.columns.total,
      counts: countStatuses(results),
      results,
      findings,
      recommendations: proposeConstraints(checked, results),
      startedAt: new Date(started).toISOString(),
      durationMs: clock.now() - started,
      statements: run.statements,
    };
  });
  metrics.observe("db_validation_duration_seconds", report.durationMs / 1000);
  for (const [status, count] of Object.entries(report.counts)) {
    metrics.count("db_validation_rules_total", { status }, count);
  }
  if (report.score !== null) metrics.gauge("db_validation_score_ratio", report.score / 100);
  logger.info({ score: report.score, ...report.counts, durationMs: report.durationMs }, "validation ended");
  return report;
}

/**
 * What `runValidation` would do, without reading any table: the statements, and what is proved already.
 * @throws {InvalidRulesError} as `runValidation`
 */
export async function explainValidation(
  db: DatabaseLike,
  rules: readonly ValidationRule[],
  options: ValidationOptions = {},
): Promise<ValidationPlan> {
  const resolved = resolveValidationOptions(options);
  return toDatabase(db).withTransaction(async (tx) => {
    await readOneSnapshot(tx, resolved);
    return (await prepare(tx, await readCatalog(tx), rules, resolved)).plan;
  });
}

async function prepare(
  tx: Queryable,
  catalog: Awaited<ReturnType<typeof readCatalog>>,
  rules: readonly ValidationRule[],
  options: ResolvedValidationOptions,
): Promise<{ readonly checked: readonly ResolvedRule[]; readonly plan: ValidationPlan }> {
  const { rules: checked, problems } = checkRules(rules, catalog);
  const plan = planValidation(checked, options);
  const open = checked.filter((_, index) => plan.rules[index]!.provedBy === undefined);
  const all = [...problems, ...(await probeRules(tx, open, options.asOf))];
  if (all.length > 0) throw new InvalidRulesError(all);
  return { checked, plan };
}

async function sample(
  tx: Queryable,
  plan: ValidationPlan,
  results: readonly RuleResult[],
  limit: number,
  signal: AbortSignal | undefined,
): Promise<readonly RuleResult[]> {
  const sampled: RuleResult[] = [];
  for (const [index, result] of results.entries()) {
    const { keysSql, keyColumns = [] } = plan.rules[index]!;
    sampled.push(result);
    if (keysSql === undefined || !result.violations) continue;
    checkSignal(signal);
    const list = keyColumns.map((_, position) => `k${position}::text as k${position}`).join(", ");
    const names = keyColumns.map((_, position) => `k${position}`).join(", ");
    const sql = `select ${list} from (${keysSql}\n limit $1::bigint) keys (${names})`;
    const answer = await attempt<Record<string, string>>(tx, sql, [limit]);
    if ("error" in answer) continue;
    const keys = answer.rows.map((row) => keyColumns.map((_, position) => row[`k${position}`]!));
    sampled[index] = { ...result, sample: { columns: keyColumns, keys } };
  }
  return sampled;
}

function countStatuses(results: readonly RuleResult[]): Record<RuleStatus, number> {
  const counts: Record<RuleStatus, number> = { proved: 0, passed: 0, failed: 0, error: 0 };
  for (const result of results) counts[result.status] += 1;
  return counts;
}
