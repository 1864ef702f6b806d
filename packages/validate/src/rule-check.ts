import type { Catalog, CatalogTable } from "./catalog.ts";
import type { RuleProblem } from "./errors.ts";
import { nearMatch } from "./near-match.ts";
import { ruleId, type RuleKind, ruleKinds, type ValidationRule } from "./rule.ts";
import { findTable, splitTableName, tableLabel } from "./table-name.ts";

/** A rule with its place in the catalog found. */
export interface ResolvedRule {
  readonly id: string;
  readonly rule: ValidationRule;
  readonly table: CatalogTable;
  /** The table a foreign-key rule points to. */
  readonly references?: CatalogTable;
}

/** What checking the rules against the catalog gives: the rules that can run, and every problem of the others. */
export interface RuleCheck {
  readonly rules: readonly ResolvedRule[];
  readonly problems: readonly RuleProblem[];
}

type Problem = Omit<RuleProblem, "rule">;

/**
 * Checks rules against the catalog without reading data: shape, names, bounds, duplicate ids. Rules may come from
 * JSON, so nothing about their shape is taken for granted.
 */
export function checkRules(rules: readonly ValidationRule[], catalog: Catalog): RuleCheck {
  const resolved: ResolvedRule[] = [];
  const problems: RuleProblem[] = [];
  const seen = new Map<string, number>();
  for (const [index, rule] of rules.entries()) {
    const shape = shapeProblems(rule);
    const base = shape.length === 0 ? ruleId(rule) : nameOf(rule, index);
    const count = (seen.get(base) ?? 0) + 1;
    seen.set(base, count);
    // Two rules without an id may well share kind and table; two with the same id are a mistake.
    const id = count === 1 ? base : `${base}#${count}`;
    const found: Problem[] = [...shape];
    if (count > 1 && typeof rule?.id === "string") {
      found.push({ problem: `the id "${base}" is used ${count} times`, hint: "give each rule its own id" });
    }
    if (shape.length === 0) {
      const table = findTable(catalog, rule.table);
      if (table === undefined) found.push(missingTable(catalog, rule.table));
      else {
        found.push(...columnProblems(table, columnsOf(rule)), ...valueProblems(rule));
        const references = rule.kind === "foreign-key" ? findTable(catalog, rule.references.table) : undefined;
        if (rule.kind === "foreign-key") found.push(...referenceProblems(rule, references, catalog));
        if (found.length === 0) resolved.push({ id, rule, table, ...(references === undefined ? {} : { references }) });
      }
    }
    problems.push(...found.map((problem) => ({ rule: id, ...problem })));
  }
  return { rules: resolved, problems };
}

function nameOf(rule: unknown, index: number): string {
  const { id, kind, table } = (rule ?? {}) as { id?: unknown; kind?: unknown; table?: unknown };
  if (typeof id === "string") return id;
  const known = [kind, table].filter((part) => typeof part === "string");
  return known.length > 0 ? `rule ${index + 1} (${known.join(":")})` : `rule ${index + 1}`;
}

const isText = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(isText);
const isScalar = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value);

// Field → what it must be. A trailing "?" marks a field that may be absent.
const fieldsOf: Readonly<Record<RuleKind, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  "not-null": { column: isText },
  unique: { columns: isTexts },
  "foreign-key": { columns: isTexts, references: (r) => isText((r as { table?: unknown })?.table) },
  range: { column: isText },
  length: { column: isText },
  pattern: { column: isText, pattern: (value) => typeof value === "string" },
  "accepted-values": {
    column: isText,
    values: (value) => Array.isArray(value) && value.length > 0 && value.every(isScalar),
  },
  expression: { expression: isText },
  "functional-dependency": { determinant: isTexts, column: isText },
  freshness: { column: isText, maxAgeMs: (value) => typeof value === "number" && value > 0 },
  "row-count": {},
  "custom-sql": { sql: isText },
};

function shapeProblems(rule: ValidationRule): Problem[] {
  if (typeof rule !== "object" || rule === null) return [{ problem: "a rule must be an object" }];
  const { kind, severity } = rule as { readonly kind: unknown; readonly severity?: unknown };
  if (!ruleKinds.some((known) => known === kind)) {
    const near = nearMatch(shown(kind), ruleKinds);
    return [
      {
        problem: `there is no kind "${shown(kind)}"`,
        hint: near ? `did you mean "${near}"?` : `one of ${ruleKinds.join(", ")}`,
      },
    ];
  }
  const problems: Problem[] = [];
  if (!isText(rule.table)) problems.push({ problem: "it names no table" });
  const values = rule as unknown as Record<string, unknown>;
  for (const [field, valid] of Object.entries(fieldsOf[rule.kind])) {
    if (!valid(values[field])) {
      problems.push({ problem: `"${field}" is ${values[field] === undefined ? "missing" : "not what it must be"}` });
    }
  }
  if (rule.kind === "foreign-key" && problems.length === 0 && !isTexts(rule.references.columns)) {
    problems.push({ problem: '"references.columns" is missing' });
  }
  if (severity !== undefined && !["info", "warn", "critical"].some((known) => known === severity)) {
    problems.push({ problem: `there is no severity "${shown(severity)}"`, hint: "info, warn or critical" });
  }
  if (rule.weight !== undefined && !(Number.isFinite(rule.weight) && rule.weight > 0)) {
    problems.push({ problem: "weight must be a number above 0" });
  }
  if (rule.mostly !== undefined && !(rule.mostly > 0 && rule.mostly <= 1)) {
    problems.push({ problem: "mostly must be above 0 and at most 1" });
  }
  if (rule.where !== undefined && !isText(rule.where)) problems.push({ problem: '"where" is empty' });
  return problems;
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : typeof value;
}

function valueProblems(rule: ValidationRule): Problem[] {
  if (rule.kind !== "range" && rule.kind !== "length" && rule.kind !== "row-count") return [];
  if (rule.min === undefined && rule.max === undefined) return [{ problem: "it has neither min nor max" }];
  if (typeof rule.min === "number" && typeof rule.max === "number" && rule.min > rule.max) {
    return [{ problem: `min ${rule.min} is above max ${rule.max}` }];
  }
  return [];
}

function referenceProblems(
  rule: ValidationRule & { readonly kind: "foreign-key" },
  references: CatalogTable | undefined,
  catalog: Catalog,
): Problem[] {
  if (references === undefined) return [missingTable(catalog, rule.references.table)];
  const problems = columnProblems(references, rule.references.columns);
  if (rule.columns.length !== rule.references.columns.length) {
    problems.push({
      problem: `${rule.columns.length} columns refer to ${rule.references.columns.length}`,
      hint: "name as many columns on both sides",
    });
  }
  return problems;
}

function columnsOf(rule: ValidationRule): readonly string[] {
  switch (rule.kind) {
    case "unique":
    case "foreign-key":
      return rule.columns;
    case "functional-dependency":
      return [...rule.determinant, rule.column];
    case "expression":
      return rule.columns ?? [];
    case "row-count":
    case "custom-sql":
      return [];
    default:
      return [rule.column];
  }
}

function columnProblems(table: CatalogTable, columns: readonly string[]): Problem[] {
  const names = table.columns.map((column) => column.name);
  return columns
    .filter((column) => !names.includes(column))
    .map((column) => {
      const near = nearMatch(column, names);
      const hint = near === undefined ? `it has ${names.slice(0, 8).join(", ")}` : `did you mean "${near}"?`;
      return { problem: `${tableLabel(table)} has no column "${column}"`, hint };
    });
}

function missingTable(catalog: Catalog, name: string): Problem {
  const parts = splitTableName(name);
  const schema = parts.length > 1 ? parts[0] : undefined;
  const bare = parts.at(-1) ?? name;
  const named = catalog.tables.filter((table) => table.name === bare);
  if (named.length > 0) {
    return { problem: `there is no table "${name}"`, hint: `write ${named.map(tableLabel).join(" or ")}` };
  }
  const inSchema = catalog.tables.filter((table) => schema === undefined || table.schema === schema);
  const near = nearMatch(
    bare,
    inSchema.map((table) => table.name),
  );
  const match = inSchema.find((table) => table.name === near);
  return {
    problem: `there is no table "${name}"`,
    ...(match === undefined ? {} : { hint: `did you mean "${tableLabel(match)}"?` }),
  };
}
