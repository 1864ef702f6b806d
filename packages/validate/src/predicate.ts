import { quoteIdentifier, quoteLiteral } from "@db/core";
import type { ResolvedRule } from "./rule-check.ts";
import type { ValidationRule } from "./rule.ts";
import { tableSql } from "./table-name.ts";

/**
 * SQL that is true for a row that breaks the rule, and false or NULL for one that does not: a NULL value breaks
 * only `not-null`, as in a CHECK constraint. Undefined for rules that no single row can break.
 */
export function violationSql({ rule, table, references }: ResolvedRule): string | undefined {
  switch (rule.kind) {
    case "not-null":
      return `${quoteIdentifier(rule.column)} is null`;
    case "range":
      return bounds(quoteIdentifier(rule.column), rule.min, rule.max);
    case "length":
      return bounds(`char_length(${quoteIdentifier(rule.column)}::text)`, rule.min, rule.max);
    case "pattern": {
      const operator = rule.ignoreCase === true ? "!~*" : "!~";
      return `${quoteIdentifier(rule.column)}::text ${operator} ${quoteLiteral(rule.pattern)}`;
    }
    case "accepted-values": {
      // As text, an enum may be held against words it does not have.
      const category = table.columns.find(({ name }) => name === rule.column)?.category;
      const cast = category === "E" ? "::text" : "";
      return `${quoteIdentifier(rule.column)}${cast} <> all (${quoteLiteral(arrayLiteral(rule.values))})`;
    }
    case "expression":
      return `not ${userSql(rule.expression)}`;
    case "foreign-key": {
      // The referring table keeps its own name, so that a predicate may use it; the other gets one nobody has.
      const from = quoteIdentifier(table.name);
      const pairs = rule.columns.map(
        (column, index) =>
          `"@target".${quoteIdentifier(rule.references.columns[index]!)} = ${from}.${quoteIdentifier(column)}`,
      );
      return (
        `${present(rule.columns)} and not exists ` +
        `(select from ${tableSql(references!)} "@target" where ${pairs.join(" and ")})`
      );
    }
    default:
      return undefined;
  }
}

/** SQL that is true for the rows a rule speaks of; undefined when it speaks of all. */
export function scopeSql(rule: ValidationRule): string | undefined {
  const where = rule.where === undefined ? undefined : userSql(rule.where);
  if (rule.kind !== "unique" && rule.kind !== "foreign-key" && rule.kind !== "functional-dependency") return where;
  const columns = rule.kind === "functional-dependency" ? [...rule.determinant, rule.column] : rule.columns;
  return [where, present(columns)].filter((part) => part !== undefined).join(" and ");
}

/** A predicate somebody wrote, fenced: the line break ends a comment at its end. */
export function userSql(text: string): string {
  return `(${text}\n)`;
}

function present(columns: readonly string[]): string {
  return columns.map((column) => `${quoteIdentifier(column)} is not null`).join(" and ");
}

// Untyped literals take the column's own type: dates, numerics and intervals all compare as themselves.
function bounds(value: string, min: number | string | undefined, max: number | string | undefined): string {
  const parts = [
    min === undefined ? undefined : `${value} < ${quoteLiteral(String(min))}`,
    max === undefined ? undefined : `${value} > ${quoteLiteral(String(max))}`,
  ].filter((part) => part !== undefined);
  return `(${parts.join(" or ")})`;
}

function arrayLiteral(values: readonly (string | number | boolean)[]): string {
  const items = values.map((value) => `"${String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);
  return `{${items.join(",")}}`;
}
