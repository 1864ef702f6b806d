import type { Queryable } from "@db/core";
import type { RuleProblem } from "./errors.ts";
import { planSteps } from "./plan.ts";
import type { ResolvedRule } from "./rule-check.ts";
import { attempt } from "./session.ts";
import { isStatementError, sqlErrorText } from "./sql-error.ts";

/**
 * Lets the server read every rule without running it: unknown columns and functions in predicates, bounds that are
 * no value of the column's type, regular expressions that do not compile. Reads no table.
 */
export async function probeRules(
  tx: Queryable,
  rules: readonly ResolvedRule[],
  asOf: string | undefined,
): Promise<readonly RuleProblem[]> {
  const problems: RuleProblem[] = [];
  for (const resolved of rules) {
    const problem = (await patternProblem(tx, resolved)) ?? (await statementProblem(tx, resolved, asOf));
    if (problem !== undefined) problems.push({ rule: resolved.id, ...problem });
  }
  return problems;
}

type Problem = Omit<RuleProblem, "rule">;

async function patternProblem(tx: Queryable, { rule }: ResolvedRule): Promise<Problem | undefined> {
  if (rule.kind !== "pattern") return undefined;
  const answer = await attempt(tx, "select '' ~ $1::text as matches", [rule.pattern]);
  if (!("error" in answer)) return undefined;
  return {
    problem: `the pattern is no regular expression of PostgreSQL: ${sqlErrorText(answer.error)}`,
    hint: "close every bracket and parenthesis, and write no (?<name>) group",
  };
}

async function statementProblem(
  tx: Queryable,
  resolved: ResolvedRule,
  asOf: string | undefined,
): Promise<Problem | undefined> {
  for (const step of planSteps([resolved], asOf)) {
    const answer = await attempt(tx, `explain ${step.sql}`, ["probe"]);
    if ("error" in answer && isStatementError(answer.error)) {
      const hint = (answer.error as { hint?: unknown }).hint;
      return { problem: sqlErrorText(answer.error), ...(typeof hint === "string" ? { hint } : {}) };
    }
  }
  return undefined;
}
