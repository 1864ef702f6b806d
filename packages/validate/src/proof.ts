import type { CatalogTable } from "./catalog.ts";
import type { ResolvedRule } from "./rule-check.ts";

/**
 * The constraint that already proves a rule for every row, so that none need be read; undefined when none does.
 * Only what the server vouches for counts: validated, enforced, immediate, and over the whole table.
 */
export function proofOf({ rule, table, references }: ResolvedRule): string | undefined {
  // A parent's constraints do not bind rows of its inheritance children (CHECK and NOT NULL do, keys do not).
  const keysHold = !table.inherited;
  switch (rule.kind) {
    case "not-null":
      return columnOf(table, rule.column)?.notNull ? `NOT NULL on ${rule.column}` : undefined;
    case "unique":
      return keysHold ? table.uniques.find((unique) => isSubset(unique.columns, rule.columns))?.name : undefined;
    case "foreign-key":
      return table.foreignKeys.find(
        (key) =>
          keysHold &&
          key.validated &&
          key.referencesSchema === references?.schema &&
          key.referencesTable === references.name &&
          sameReference(key, rule),
      )?.name;
    case "accepted-values": {
      const column = columnOf(table, rule.column);
      const labels = column?.enumLabels;
      return labels?.every((label) => rule.values.includes(label)) ? `enum ${column?.type}` : undefined;
    }
    default:
      return undefined;
  }
}

function columnOf(table: CatalogTable, name: string): CatalogTable["columns"][number] | undefined {
  return table.columns.find((column) => column.name === name);
}

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  return some.length > 0 && some.every((name) => all.includes(name));
}

// Pairs may be listed in another order in the constraint than in the rule.
function sameReference(
  key: { readonly columns: readonly string[]; readonly referencesColumns: readonly string[] },
  rule: { readonly columns: readonly string[]; readonly references: { readonly columns: readonly string[] } },
): boolean {
  const pairs = (from: readonly string[], to: readonly string[]): string =>
    JSON.stringify(from.map((column, index) => JSON.stringify([column, to[index]])).sort());
  return pairs(key.columns, key.referencesColumns) === pairs(rule.columns, rule.references.columns);
}
