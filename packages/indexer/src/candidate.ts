import { quoteIdentifier } from "@db/core";
import type { IndexDefinition, IndexKey } from "./definition.ts";
import type { TableCondition, TableUse } from "./resolve.ts";
import { indexCost, selectivityOf, sequentialCost } from "./selectivity.ts";
import { servingIndex } from "./serving.ts";
import type { IndexSnapshot, TableFacts } from "./snapshot.ts";
import { wordKey } from "./word-key.ts";

/** An index that would help one use of one table. */
export interface Candidate {
  readonly definition: IndexDefinition;
  readonly table: TableFacts;
  /** How many of the first keys are tested for equality, in any order. */
  readonly equalityKeys: number;
  /** Rows the index leaves, of one average call. */
  readonly rowsAfter: number;
  /** Cost of this table's part with it and without, in the planner's units. */
  readonly costAfter: number;
  readonly costBefore: number;
  /** What it answers, in words. */
  readonly why: string;
  /** True when something had to be guessed, such as the text search configuration. */
  readonly guessed: boolean;
}

/** When a candidate is worth a thought. */
export interface CandidateLimits {
  /** Smaller tables are read whole faster than an index is walked. */
  readonly minRows: number;
  /** Most key columns. */
  readonly maxKeys: number;
  /** Tables larger than this get a BRIN index for ranges over columns that follow the order on disk. Bytes. */
  readonly brinMinBytes: number;
}

/** The indexes that would help one use of a table and that no index there already stands for. */
export function candidatesFor(use: TableUse, snapshot: IndexSnapshot, limits: CandidateLimits): readonly Candidate[] {
  const { table } = use;
  if (table.rows < limits.minRows || table.kind === "partition") return [];
  const found = [
    ...orderedCandidates(use, snapshot, limits),
    ...use.conditions.flatMap((condition) => wordCandidates(condition, use, snapshot)),
    ...armCandidates(use, snapshot),
  ];
  return found.filter(
    (candidate) => servingIndex(candidate.definition, candidate.equalityKeys, snapshot.indexes, table) === undefined,
  );
}

const equalTests = new Set(["equal", "in"]);

function orderedCandidates(use: TableUse, snapshot: IndexSnapshot, limits: CandidateLimits): readonly Candidate[] {
  const { table } = use;
  const usable = use.conditions.filter(({ column, expression }) => hasOrder(column.type) || expression !== null);
  const equal = usable.filter(({ test, joins }) => equalTests.has(test) && joins === null);
  const joins = usable.filter(({ test, joins }) => test === "equal" && joins !== null);
  const range = rangeOf(usable);
  const partial = partialPredicate(use);
  const order = use.order.map((key) => ({
    column: key.column.name,
    ...(key.descending ? { descending: true } : {}),
    ...(key.nulls === null ? {} : { nulls: key.nulls }),
  }));
  const found: (Candidate | undefined)[] = [];
  const keysOf = (conditions: readonly TableCondition[]): readonly TableCondition[] =>
    [...conditions].sort((a, b) => selectivityOf(a, table) - selectivityOf(b, table)).slice(0, limits.maxKeys);
  const fixed = keysOf(equal);
  if (use.limited && order.length > 0) {
    found.push(ordered(use, fixed, order, null, partial, snapshot));
  }
  if (range !== undefined) found.push(ordered(use, fixed, [], range, partial, snapshot));
  if (fixed.length > 0 || partial !== undefined) found.push(ordered(use, fixed, [], null, partial, snapshot));
  for (const join of joins) {
    // Rows come one by one from the other side, which must be few for that to pay.
    if (join.joins!.rows > table.rows) continue;
    found.push(ordered(use, keysOf([...equal, join]), [], null, partial, snapshot));
  }
  const best = found
    .filter((candidate) => candidate !== undefined)
    .filter((candidate) => candidate.costAfter < 0.5 * candidate.costBefore)
    .sort((a, b) => a.costAfter - b.costAfter);
  const brin = range === undefined ? undefined : brinCandidate(use, range, limits);
  const own = best.find((candidate) => !candidate.why.startsWith("joins"));
  const joined = best.find((candidate) => candidate.why.startsWith("joins"));
  return [brin ?? own, joined].filter((candidate) => candidate !== undefined);
}

// A lower and an upper bound on one column are one narrow range.
function rangeOf(conditions: readonly TableCondition[]): TableCondition | undefined {
  const ranges = conditions.filter(
    ({ test, expression, joins }) => (test === "range" || test === "between") && expression === null && joins === null,
  );
  const narrow = ranges.find(
    (one) => one.test === "between" || ranges.some((other) => other !== one && other.column === one.column),
  );
  return narrow === undefined ? ranges[0] : { ...narrow, test: "between" };
}

function ordered(
  use: TableUse,
  equal: readonly TableCondition[],
  order: readonly IndexKey[],
  range: TableCondition | null,
  partial: Partial | undefined,
  snapshot: IndexSnapshot,
): Candidate | undefined {
  const { table } = use;
  const equalKeys = distinctKeys(equal.map(keyOf));
  const tail = range === null ? order : [keyOf(range)];
  const keys = [...equalKeys, ...tail.filter((key) => !equalKeys.some(({ column }) => column === key.column))];
  if (keys.length === 0) keys.push(...(partial === undefined ? [] : [{ column: partial.column }]));
  if (keys.length === 0) return undefined;
  const share = [...equal, ...(range === null ? [] : [range])].reduce(
    (product, condition) => product * selectivityOf(condition, table),
    partial?.share ?? 1,
  );
  const matching = Math.max(1, table.rows * share);
  // In the wanted order, reading stops at the limit; what else is asked still throws rows away before it, and where
  // that leaves few, or is a search for words, which no average describes, reading goes on to the end.
  const remaining = remainingShare(use, equal, range, partial);
  if (order.length > 0 && remaining < 0.05) return undefined;
  const rowsAfter = order.length > 0 ? Math.min(matching, 50 / Math.max(0.001, remaining)) : matching;
  const correlation = keys[0]?.column === undefined ? 0 : (columnOf(table, keys[0].column)?.correlation ?? 0);
  const joins = equal.some((condition) => condition.joins !== null);
  const parts = [
    equal.length > 0 ? `${joins ? "joins" : "filters"} by ${equal.map(nameOf).join(", ")}` : undefined,
    range === null ? undefined : `ranges over ${nameOf(range)}`,
    order.length > 0 ? `reads the first rows by ${order.map((key) => key.column).join(", ")}` : undefined,
    partial === undefined ? undefined : `only rows where ${partial.sql.replaceAll('"', "")}`,
  ];
  return {
    definition: {
      schema: table.schema,
      table: table.name,
      keys,
      ...(partial === undefined ? {} : { where: partial.sql }),
    },
    table,
    equalityKeys: equalKeys.length,
    rowsAfter,
    costBefore: sequentialCost(table),
    costAfter: indexCost(table, rowsAfter, correlation),
    why: parts.filter((part) => part !== undefined).join("; "),
    guessed: snapshot.serverVersion === 0 || equal.some((condition) => condition.column.distinct === null),
  };
}

function remainingShare(
  use: TableUse,
  equal: readonly TableCondition[],
  range: TableCondition | null,
  partial: Partial | undefined,
): number {
  return use.conditions
    .filter(
      (c) => !equal.includes(c) && c.column !== range?.column && c.joins === null && c.column.name !== partial?.column,
    )
    .reduce((product, condition) => product * selectivityOf(condition, use.table), 1);
}

interface Partial {
  readonly sql: string;
  readonly column: string;
  readonly share: number;
}

/** Rows tested by name, not by value, and few: a partial index holds only them. A parameter can never be one. */
function partialPredicate({ conditions, table }: TableUse): Partial | undefined {
  const tests: Readonly<Record<string, (column: string) => string>> = {
    "is-null": (column) => `${column} is null`,
    "is-not-null": (column) => `${column} is not null`,
    "is-true": (column) => column,
    "is-false": (column) => `not ${column}`,
  };
  for (const condition of conditions) {
    const { test, column, expression } = condition;
    const write = tests[test];
    const known = test.endsWith("null") ? column.nullFraction !== null : column.trueFraction !== null;
    if (write === undefined || expression !== null || !known) continue;
    const share = selectivityOf(condition, table);
    if (share <= 0.2) return { sql: write(quoteIdentifier(column.name)), column: column.name, share };
  }
  return undefined;
}

/** GIN for words, parts of words, documents and arrays. */
function wordCandidates(condition: TableCondition, use: TableUse, snapshot: IndexSnapshot): readonly Candidate[] {
  const { table } = use;
  const key = wordKey(condition, snapshot);
  if (key === undefined) return [];
  const rowsAfter = Math.max(1, table.rows * selectivityOf(condition, table));
  return [
    {
      definition: {
        schema: table.schema,
        table: table.name,
        method: "gin",
        keys: [key.key],
        ...(key.requires === undefined ? {} : { requires: [key.requires] }),
      },
      table,
      equalityKeys: 0,
      rowsAfter,
      costBefore: sequentialCost(table),
      costAfter: indexCost(table, rowsAfter) + 20,
      why: key.why,
      guessed: condition.test === "text-search" && condition.expression !== null,
    },
  ];
}

// Each arm of an OR needs an index, or the table is read whole all the same.
function armCandidates(use: TableUse, snapshot: IndexSnapshot): readonly Candidate[] {
  return use.alternatives.flatMap((arms) => {
    const each = arms.map((arm) => {
      const words = wordCandidates(arm, use, snapshot)[0];
      if (words !== undefined) return words;
      return equalTests.has(arm.test) ? ordered(use, [arm], [], null, undefined, snapshot) : undefined;
    });
    const known = each.filter((candidate) => candidate !== undefined);
    return known.length === arms.length ? known : [];
  });
}

function brinCandidate(use: TableUse, range: TableCondition, limits: CandidateLimits): Candidate | undefined {
  const { table } = use;
  const correlation = Math.abs(range.column.correlation ?? 0);
  if (table.pages * 8192 < limits.brinMinBytes || correlation < 0.95 || range.expression !== null) return undefined;
  if (use.conditions.some((c) => equalTests.has(c.test) && selectivityOf(c, table) < 0.01)) return undefined;
  const rowsAfter = Math.max(1, table.rows * selectivityOf(range, table));
  return {
    definition: { schema: table.schema, table: table.name, method: "brin", keys: [{ column: range.column.name }] },
    table,
    equalityKeys: 0,
    rowsAfter,
    costBefore: sequentialCost(table),
    costAfter: (table.pages * rowsAfter) / table.rows + 0.0125 * rowsAfter + 50,
    why: `ranges over ${range.column.name}, which follows the order on disk; a thousandth of a B-tree's size`,
    guessed: false,
  };
}

function keyOf({ column, expression }: TableCondition): IndexKey {
  return expression === null ? { column: column.name } : { expression };
}

function nameOf({ column, expression }: TableCondition): string {
  return (expression ?? column.name).replaceAll('"', "");
}

function distinctKeys(keys: readonly IndexKey[]): readonly IndexKey[] {
  const seen = new Set<string>();
  return keys.filter((key) => {
    const name = key.column ?? `(${key.expression})`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

function columnOf(table: TableFacts, name: string): TableFacts["columns"][number] | undefined {
  return table.columns.find((column) => column.name === name);
}

// These have no B-tree operators, or none that a search would use.
function hasOrder(type: string): boolean {
  return !/^(json|xml|point|box|polygon|circle|line|lseg|path|tsquery|tsvector|jsonb|int4range|tstzrange)|\[\]$/.test(
    type,
  );
}
