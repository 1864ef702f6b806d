import { quoteIdentifier, quoteLiteral } from "@db/core";
import type { RuleResult } from "./report.ts";
import type { ResolvedRule } from "./rule-check.ts";
import { violationSql } from "./predicate.ts";
import { tableLabel, tableSql } from "./table-name.ts";

/** A rule that holds for every row now, and the statements that would make the server keep it so. */
export interface ConstraintProposal {
  readonly rule: string;
  readonly table: string;
  readonly title: string;
  /**
   * Run one by one, each in its own transaction: the constraint is added without reading the table, then validated
   * under a lock that lets reads and writes go on.
   */
  readonly statements: readonly string[];
}

/**
 * Proposes a constraint for each rule of the table's own rows that held without exception and that none proves yet.
 * Changes nothing. A rule with `where` or `mostly` below 1 is not one a constraint can say.
 * @see https://www.postgresql.org/docs/current/sql-altertable.html (NOT VALID)
 */
export function proposeConstraints(
  rules: readonly ResolvedRule[],
  results: readonly RuleResult[],
): readonly ConstraintProposal[] {
  const byId = new Map(results.map((result) => [result.id, result]));
  return rules.flatMap((resolved) => {
    const result = byId.get(resolved.id);
    const holds = result?.status === "passed" && result.violations === 0 && (result.checked ?? 0) > 0;
    const plain = resolved.table.kind === "table" && !resolved.table.inherited;
    const whole = resolved.rule.where === undefined && (resolved.rule.mostly ?? 1) === 1;
    const proposal = holds && plain && whole ? proposalFor(resolved) : undefined;
    return proposal === undefined ? [] : [proposal];
  });
}

function proposalFor(resolved: ResolvedRule): ConstraintProposal | undefined {
  const { id, rule, table, references } = resolved;
  const target = tableSql(table);
  const columns = "columns" in rule && rule.columns ? rule.columns : "column" in rule ? [rule.column] : [];
  const name = (suffix: string): string =>
    quoteIdentifier(`${table.name}_${columns.join("_")}_${suffix}`.slice(0, 60).replace(/_$/, ""));
  const list = columns.map(quoteIdentifier).join(", ");
  const propose = (title: string, statements: readonly string[]): ConstraintProposal => ({
    rule: id,
    table: tableLabel(table),
    title,
    statements,
  });
  const check = (title: string, expression: string, suffix: string): ConstraintProposal =>
    propose(title, [
      `alter table ${target} add constraint ${name(suffix)} check (${expression}) not valid`,
      `alter table ${target} validate constraint ${name(suffix)}`,
    ]);
  switch (rule.kind) {
    case "not-null": {
      const constraint = name("present");
      // A validated CHECK spares SET NOT NULL its own scan under an exclusive lock (12 and later).
      return propose(`declare ${rule.column} not null`, [
        `alter table ${target} add constraint ${constraint} check (${list} is not null) not valid`,
        `alter table ${target} validate constraint ${constraint}`,
        `alter table ${target} alter column ${list} set not null`,
        `alter table ${target} drop constraint ${constraint}`,
      ]);
    }
    case "unique":
      return propose(`declare (${rule.columns.join(", ")}) unique`, [
        `create unique index concurrently ${name("key")} on ${target} (${list})`,
        `alter table ${target} add constraint ${name("key")} unique using index ${name("key")}`,
      ]);
    case "foreign-key": {
      const key = new Set(rule.references.columns);
      // A foreign key needs a unique one to point at.
      if (!references?.uniques.some((u) => u.columns.length === key.size && u.columns.every((c) => key.has(c)))) {
        return undefined;
      }
      const to = rule.references.columns.map(quoteIdentifier).join(", ");
      return propose(`declare the reference from ${rule.columns.join(", ")} to ${tableLabel(references)}`, [
        `alter table ${target} add constraint ${name("fkey")} foreign key (${list}) ` +
          `references ${tableSql(references)} (${to}) not valid`,
        `alter table ${target} validate constraint ${name("fkey")}`,
      ]);
    }
    case "range":
    case "length":
      return check(`declare the bounds of ${rule.column}`, `not ${violationSql(resolved)}`, "range");
    case "accepted-values": {
      const values = rule.values.map((value) => quoteLiteral(String(value))).join(", ");
      return check(`declare the values of ${rule.column}`, `${list} in (${values})`, "values");
    }
    case "pattern": {
      const operator = rule.ignoreCase === true ? "~*" : "~";
      return check(`declare the form of ${rule.column}`, `${list} ${operator} ${quoteLiteral(rule.pattern)}`, "form");
    }
    default:
      // An expression may read the clock or another table, which no CHECK may.
      return undefined;
  }
}
