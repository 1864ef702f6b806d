import { quoteIdentifier, quoteLiteral, type Severity } from "@db/core";
import type { CatalogTable } from "./catalog.ts";
import { scopeSql, userSql, violationSql } from "./predicate.ts";
import { proofOf } from "./proof.ts";
import type { ResolvedRule } from "./rule-check.ts";
import { type Dimension, ruleColumns, ruleDimension, type RuleKind, severityWeight } from "./rule.ts";
import { tableLabel, tableSql } from "./table-name.ts";

/** What one output column of a step tells about one rule. */
export interface StepTarget {
  readonly rule: string;
  /** Rows the rule speaks of, rows that break it, or the value it looked at. */
  readonly as: "checked" | "violations" | "observed";
  readonly column: string;
}

/** One statement of a validation. It returns one row; each of its columns is a number or NULL. */
export interface ValidationStep {
  /** One pass over a table for many rules, a grouping, a search for orphans, or a query somebody wrote. */
  readonly kind: "scan" | "group" | "orphans" | "custom";
  /** `public.bills`. */
  readonly table: string;
  /** Takes one parameter, `$1`: any text, returned as it is. It makes drivers prepare, and so refuse two statements. */
  readonly sql: string;
  readonly targets: readonly StepTarget[];
}

/** One rule as it will be checked. */
export interface PlannedRule {
  readonly id: string;
  readonly kind: RuleKind;
  readonly table: string;
  readonly columns: readonly string[];
  readonly severity: Severity;
  readonly weight: number;
  readonly dimension: Dimension;
  readonly mostly: number;
  readonly min?: number;
  readonly max?: number;
  readonly description?: string;
  readonly hint?: string;
  /** The constraint that proves it; no row is read then. */
  readonly provedBy?: string;
  /** A query that shows the keys of failing rows, where single rows can fail. Give it a limit. */
  readonly keysSql?: string;
  readonly keyColumns?: readonly string[];
}

/** What a validation will do: plain data, the same for the same rules and catalog. */
export interface ValidationPlan {
  readonly rules: readonly PlannedRule[];
  readonly steps: readonly ValidationStep[];
  /** Columns of the tables named by rules, and how many of them a rule or constraint watches. */
  readonly columns: { readonly total: number; readonly watched: number };
}

/** How the plan is made. */
export interface PlanOptions {
  /** Let enforced constraints stand as proof. Default true. */
  readonly proofs?: boolean;
  /** The moment freshness is measured at, ISO 8601. Default: the transaction's. */
  readonly asOf?: string | undefined;
}

// A target list holds at most 1,664 entries (MaxTupleAttributeNumber); well below keeps plans small.
const maxScanColumns = 500;

/** Decides which statements check the rules: one pass per table where rows can be judged alone. Runs nothing. */
export function planValidation(
  rules: readonly ResolvedRule[],
  { proofs = true, asOf }: PlanOptions = {},
): ValidationPlan {
  const planned = rules.map((resolved) => plannedRule(resolved, proofs ? proofOf(resolved) : undefined));
  const open = rules.filter((_, index) => planned[index]!.provedBy === undefined);
  return { rules: planned, steps: planSteps(open, asOf), columns: coverage(rules) };
}

/** The statements for some rules; called again with fewer when one of them breaks the statement they share. */
export function planSteps(rules: readonly ResolvedRule[], asOf?: string): readonly ValidationStep[] {
  const byTable = Map.groupBy(rules, ({ table }) => tableLabel(table));
  return [...byTable.values()].flatMap((group) => [...scanSteps(group, asOf), ...group.flatMap(singleSteps)]);
}

/** Some rows of one table, all in one statement. */
function scanSteps(rules: readonly ResolvedRule[], asOf: string | undefined): ValidationStep[] {
  const table = rules[0]!.table;
  const steps: ValidationStep[] = [];
  let names = new Map<string, string>();
  let targets: StepTarget[] = [];
  const flush = (): void => {
    if (targets.length === 0) return;
    const list = [...names].map(([expression, name]) => `${expression} as ${name}`);
    const sql = `select $1::text as step,\n       ${list.join(",\n       ")}\n  from ${tableSql(table)}`;
    steps.push({ kind: "scan", table: tableLabel(table), sql, targets });
    names = new Map();
    targets = [];
  };
  for (const resolved of rules) {
    for (const [as, expression] of scanExpressions(resolved, asOf)) {
      const name = names.get(expression) ?? `t${names.size}`;
      names.set(expression, name);
      targets.push({ rule: resolved.id, as, column: name });
    }
    if (names.size >= maxScanColumns) flush();
  }
  flush();
  return steps;
}

function scanExpressions(
  resolved: ResolvedRule,
  asOf: string | undefined,
): readonly (readonly [StepTarget["as"], string])[] {
  const { rule } = resolved;
  const scope = scopeSql(rule);
  const checked = ["checked", countSql(scope)] as const;
  switch (rule.kind) {
    case "unique":
    case "functional-dependency":
      return [];
    case "foreign-key":
    case "custom-sql":
      return [checked];
    case "row-count":
      return [["observed", countSql(scope)]];
    case "freshness": {
      const newest = `max(${quoteIdentifier(rule.column)})${scope === undefined ? "" : ` filter (where ${scope})`}`;
      const now = asOf === undefined ? "now()" : `${quoteLiteral(asOf)}::timestamptz`;
      return [["observed", `(extract(epoch from (${now} - ${newest}::timestamptz)) * 1000)::float8`]];
    }
    default: {
      const bad = violationSql(resolved)!;
      return [checked, ["violations", countSql(scope === undefined ? bad : `${scope} and ${bad}`)]];
    }
  }
}

function countSql(filter: string | undefined): string {
  return filter === undefined ? "count(*)::float8" : `(count(*) filter (where ${filter}))::float8`;
}

function singleSteps(resolved: ResolvedRule): ValidationStep[] {
  const { id, rule, table } = resolved;
  const base = { table: tableLabel(table) };
  const target = (as: StepTarget["as"]): StepTarget => ({ rule: id, as, column: as });
  switch (rule.kind) {
    case "unique": {
      const keys = rule.columns.map(quoteIdentifier).join(", ");
      const sql =
        `select $1::text as step, coalesce(sum(n), 0)::float8 as checked,\n` +
        `       coalesce(sum(n - 1), 0)::float8 as violations\n` +
        `  from (select count(*) as n from ${tableSql(table)} where ${scopeSql(rule)} group by ${keys}) g`;
      return [{ ...base, kind: "group", sql, targets: [target("checked"), target("violations")] }];
    }
    case "functional-dependency": {
      const keys = rule.determinant.map(quoteIdentifier).join(", ");
      const sql =
        `select $1::text as step, coalesce(sum(n), 0)::float8 as checked,\n` +
        `       coalesce(sum(n - most), 0)::float8 as violations\n` +
        `  from (select sum(n) as n, max(n) as most\n` +
        `          from (select ${keys}, count(*) as n from ${tableSql(table)} where ${scopeSql(rule)}\n` +
        `                 group by ${keys}, ${quoteIdentifier(rule.column)}) pairs\n` +
        `         group by ${keys}) groups`;
      return [{ ...base, kind: "group", sql, targets: [target("checked"), target("violations")] }];
    }
    case "foreign-key": {
      const where = [rule.where === undefined ? undefined : userSql(rule.where), violationSql(resolved)];
      const sql =
        `select $1::text as step, count(*)::float8 as violations\n  from ${tableSql(table)}\n` +
        ` where ${where.filter((part) => part !== undefined).join(" and ")}`;
      return [{ ...base, kind: "orphans", sql, targets: [target("violations")] }];
    }
    case "custom-sql": {
      const sql = `select $1::text as step, count(*)::float8 as violations\n  from (${withoutSemicolon(rule.sql)}\n) q`;
      return [{ ...base, kind: "custom", sql, targets: [target("violations")] }];
    }
    default:
      return [];
  }
}

function plannedRule(resolved: ResolvedRule, provedBy: string | undefined): PlannedRule {
  const { id, rule, table } = resolved;
  const severity = rule.severity ?? "warn";
  const keys = keyQuery(resolved);
  return {
    id,
    kind: rule.kind,
    table: tableLabel(table),
    columns: ruleColumns(rule),
    severity,
    weight: rule.weight ?? severityWeight[severity],
    dimension: ruleDimension(rule),
    mostly: rule.mostly ?? 1,
    ...(rule.kind === "row-count" && rule.min !== undefined ? { min: rule.min } : {}),
    ...(rule.kind === "row-count" && rule.max !== undefined ? { max: rule.max } : {}),
    ...(rule.kind === "freshness" ? { max: rule.maxAgeMs } : {}),
    ...(rule.description === undefined ? {} : { description: rule.description }),
    ...(rule.hint === undefined ? {} : { hint: rule.hint }),
    ...(provedBy === undefined ? {} : { provedBy }),
    ...keys,
  };
}

function keyQuery(resolved: ResolvedRule): Pick<PlannedRule, "keysSql" | "keyColumns"> {
  const { rule, table } = resolved;
  if (rule.kind === "custom-sql") {
    if (rule.keys === undefined || rule.keys.length === 0) return {};
    const list = rule.keys.map((key) => `q.${quoteIdentifier(key)}`).join(", ");
    return { keysSql: `select ${list}\n  from (${withoutSemicolon(rule.sql)}\n) q`, keyColumns: rule.keys };
  }
  // A view has neither key nor ctid.
  const hasCtid = table.kind === "table" || table.kind === "partition" || table.kind === "partitioned";
  const keyColumns = table.primaryKey.length > 0 ? table.primaryKey : hasCtid ? ["ctid"] : [];
  const list = keyColumns.map(quoteIdentifier).join(", ");
  const scope = scopeSql(rule);
  if (keyColumns.length === 0) return {};
  if (rule.kind === "unique") {
    const columns = rule.columns.map(quoteIdentifier).join(", ");
    const alike = `select ${list}, count(*) over (partition by ${columns}) as rows_alike`;
    const from = `(${alike} from ${tableSql(table)} where ${scope}) q`;
    return { keysSql: `select ${list}\n  from ${from}\n where rows_alike > 1`, keyColumns };
  }
  if (rule.kind === "functional-dependency") {
    const determinant = rule.determinant.map(quoteIdentifier).join(", ");
    const value = quoteIdentifier(rule.column);
    const named = [...rule.determinant, rule.column].map((name, index) => `${quoteIdentifier(name)} as d${index}`);
    const alike =
      `select ${list}, ${named.join(", ")}, ` +
      `count(*) over (partition by ${determinant}, ${value}) as rows_alike from ${tableSql(table)} where ${scope}`;
    const last = `d${rule.determinant.length}`;
    const groups = rule.determinant.map((_, index) => `d${index}`).join(", ");
    const usual = `first_value(${last}) over (partition by ${groups} order by rows_alike desc, ${last}) as usual_value`;
    return {
      keysSql: `select ${list}\n  from (select *, ${usual} from (${alike}) a) q\n where ${last} <> usual_value`,
      keyColumns,
    };
  }
  const bad = violationSql(resolved);
  if (bad === undefined) return {};
  const where = scope === undefined ? bad : `${scope} and ${bad}`;
  return { keysSql: `select ${list}\n  from ${tableSql(table)}\n where ${where}`, keyColumns };
}

function withoutSemicolon(sql: string): string {
  return sql.replace(/;\s*$/, "");
}

function coverage(rules: readonly ResolvedRule[]): ValidationPlan["columns"] {
  const watched = new Map<CatalogTable, Set<string>>();
  for (const { rule, table } of rules) {
    const names = watched.get(table) ?? new Set(constrainedColumns(table));
    watched.set(table, names);
    for (const name of ruleColumns(rule)) names.add(name);
    if (rule.kind === "functional-dependency") for (const name of rule.determinant) names.add(name);
  }
  let total = 0;
  let covered = 0;
  for (const [table, names] of watched) {
    total += table.columns.length;
    covered += table.columns.filter((column) => names.has(column.name)).length;
  }
  return { total, watched: covered };
}

function constrainedColumns(table: CatalogTable): string[] {
  return [
    ...table.columns.filter((column) => column.notNull).map((column) => column.name),
    ...table.uniques.flatMap((unique) => unique.columns),
    ...table.foreignKeys.flatMap((key) => key.columns),
  ];
}
