import { DbError } from "@db/core";

/** The command line asks for something that does not exist. */
export class UsageError extends DbError {
  override readonly code = "BENCH_USAGE";
}

/** A contender gave a wrong answer: its speed means nothing, and neither does the comparison. */
export class WrongAnswerError extends DbError {
  override readonly code = "BENCH_WRONG_ANSWER";

  constructor(facts: { readonly benchmark: string; readonly contender: string; readonly problem: string }) {
    super(`wrong answer of ${facts.contender} in ${facts.benchmark}: ${facts.problem}`, {
      hint: "Mend the contender or the check; no figures are given for wrong answers.",
    });
  }
}
