import { DbError, type Finding } from "@db/core";

/** One reason why a configuration cannot be used. Holds no secret. */
export interface Problem {
  /** The environment variable or file key to correct. */
  readonly variable: string;
  /** Where it was found: `the environment`, `/srv/app/.env:3`. */
  readonly source: string;
  /** The expected form: `a whole number from 1 to 10000`. */
  readonly expected: string;
  /** A value that would do. */
  readonly example: string;
  /** The whole sentence, as printed. */
  readonly message: string;
  /** A name or value that was probably meant. */
  readonly suggestion?: string;
}

/** The configuration cannot be used. Carries every problem there is, not only the first. */
export class ConfigError extends DbError {
  override readonly code = "CONFIG_INVALID";
  readonly problems: readonly Problem[];
  /** What was found beside the problems. */
  readonly warnings: readonly Finding[];

  constructor(problems: readonly Problem[], warnings: readonly Finding[] = []) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(`the configuration has ${count}:\n${problems.map((problem) => `  - ${sentence(problem)}`).join("\n")}`, {
      hint: "Correct every line named here; nothing was changed silently.",
    });
    this.problems = Object.freeze([...problems]);
    this.warnings = Object.freeze([...warnings]);
  }
}

/** `explain` was asked about a key or variable that does not exist. */
export class UnknownSettingError extends DbError {
  override readonly code = "CONFIG_UNKNOWN_SETTING";
  readonly suggestion: string | undefined;

  constructor(name: string, suggestion: string | undefined) {
    super(`there is no setting "${name}"`, {
      hint: suggestion === undefined ? "List every setting with explain()." : `Did you mean "${suggestion}"?`,
    });
    this.suggestion = suggestion;
  }
}

function sentence(problem: Problem): string {
  return problem.suggestion === undefined ? problem.message : `${problem.message}; did you mean ${problem.suggestion}?`;
}
