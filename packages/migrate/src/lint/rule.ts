import type { Severity } from "@db/core";
import type { StatementEffects } from "../effect-collector.ts";
import type { MigrationStatement } from "../statement.ts";
import type { RelationName, WorkingCatalog, WorkingTable } from "../working-catalog.ts";

/** A statement and everything a rule may ask about it. */
export interface LintSubject {
  readonly statement: MigrationStatement;
  readonly effects: StatementEffects;
  /** As it is right before the statement. */
  readonly catalog: WorkingCatalog;
  /** As it is when the whole plan has run. */
  readonly outcome: WorkingCatalog;
  /** Whether the migration runs in one transaction. */
  readonly transactional: boolean;
  /** What ran before in the same migration, but for rows written. */
  readonly before: readonly { readonly statement: MigrationStatement; readonly effects: StatementEffects }[];
  /** What runs after it in the same migration, but for rows written. */
  readonly after: readonly MigrationStatement[];
}

/** One place where a rule applies. */
export interface RuleHit {
  /** One line: what happens, and to what. */
  readonly title: string;
  /** Qualified table it happens to; a small one makes the finding `info`. */
  readonly table?: string;
  readonly safer?: string;
}

/** A rule as data: how bad, what to do, and where it applies. */
export interface LintRule {
  /** As written in `-- migrate:allow`. */
  readonly id: string;
  readonly severity: Severity;
  readonly hint: string;
  /** True when the harm grows with the table: below `smallTableRows` rows it is only information. */
  readonly grows: boolean;
  /** True for a matter of taste or policy: asked only when advice is wanted. */
  readonly advice?: boolean;
  check(subject: LintSubject): Iterable<RuleHit>;
}

/** The table when it was there before the plan, with its qualified name; null for one the plan makes. */
export function existingTable(
  subject: LintSubject,
  name: RelationName | undefined,
): { readonly qualified: string; readonly known: WorkingTable | undefined } | null {
  if (!name?.relname) return null;
  const known = subject.catalog.table(name);
  return known?.fresh ? null : { qualified: subject.catalog.qualify(name), known };
}

/** A name as SQL needs it: quoted only when it must be. */
export function sqlName(...parts: readonly string[]): string {
  return parts.map((part) => (/^[a-z_][a-z0-9_$]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`)).join(".");
}
