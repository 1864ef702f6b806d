import type { CatalogFact, Facts } from "./facts.ts";

/** Joins what several collectors, and one collector on several databases, have learned. */
export function mergeFacts(parts: readonly Partial<Facts>[]): Facts {
  const facts: { -readonly [Name in keyof Facts]: Facts[Name] } = {};
  for (const part of parts) {
    const { vacuum, sequences, catalog } = facts;
    Object.assign(facts, part);
    if (vacuum && part.vacuum) facts.vacuum = [...vacuum, ...part.vacuum];
    if (sequences && part.sequences) facts.sequences = [...sequences, ...part.sequences];
    if (catalog && part.catalog) facts.catalog = joinCatalogs(catalog, part.catalog);
  }
  if (facts.sequences) facts.sequences = facts.sequences.toSorted((a, b) => b.usedRatio - a.usedRatio);
  return facts;
}

function joinCatalogs(a: CatalogFact, b: CatalogFact): CatalogFact {
  return {
    tablesWithoutPrimaryKey: [...a.tablesWithoutPrimaryKey, ...b.tablesWithoutPrimaryKey],
    invalidIndexes: [...a.invalidIndexes, ...b.invalidIndexes],
    unvalidatedConstraints: [...a.unvalidatedConstraints, ...b.unvalidatedConstraints],
  };
}
