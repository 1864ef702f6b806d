import type { Finding } from "@db/core";

/** What a check of the history, the folder or the SQL found. */
export interface MigrationFinding extends Finding {
  /** The migration it is about; null when it is about the folder or the database. */
  readonly migration: string | null;
  /** Lint rule, as written in `-- migrate:allow`; null for findings on the history. */
  readonly rule: string | null;
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in characters. */
  readonly column: number | null;
  /** True when the policy in force does not let the plan be applied because of it. */
  readonly blocks: boolean;
  /** SQL that reaches the same end without the harm, where there is one. */
  readonly safer: string | null;
  /** Where else in the same migration the same rule speaks. */
  readonly also?: readonly Pick<MigrationFinding, "subject" | "line" | "column" | "title" | "safer">[];
}
