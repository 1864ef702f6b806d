import { DbError } from "@db/core";

/** One thing wrong with one rule, found before any data was read. */
export interface RuleProblem {
  /** The rule's id. */
  readonly rule: string;
  /** What is wrong and where. */
  readonly problem: string;
  /** What to write instead, such as the nearest name there is. */
  readonly hint?: string;
}

/** Some rules cannot mean anything on this database. Carries every problem of every rule; no rule was run. */
export class InvalidRulesError extends DbError {
  override readonly code = "VALIDATE_INVALID_RULES";
  readonly problems: readonly RuleProblem[];

  constructor(problems: readonly RuleProblem[]) {
    const lines = problems.map((p) => `  ${p.rule}: ${p.problem}${p.hint === undefined ? "" : ` (${p.hint})`}`);
    super(`${problems.length} ${problems.length === 1 ? "problem" : "problems"} in the rules\n${lines.join("\n")}`, {
      hint: "Correct the rules named above, or take them out; every problem is listed.",
    });
    this.problems = problems;
  }
}

/** Options that contradict themselves. */
export class InvalidValidationOptionsError extends DbError {
  override readonly code = "VALIDATE_INVALID_OPTIONS";
}
