import type { CatalogFact, Facts } from "./facts.ts";

/** Joins what several collectors, and one collector on several databases, have learned. */
export function mergeFacts(parts: readonly Partial<Facts>[]): Facts {
  const vacuum = parts.flatMap((part) => part.vacuum ?? []);
  const sequences = parts.flatMap((part) => part.sequences ?? []);
  const catalogs = parts.flatMap((part) => part.catalog ?? []);
  return {
    ...Object.fromEntries(parts.flatMap((part) => Object.entries(part))),
    ...(parts.some((part) => part.vacuum) && { vacuum }),
    ...(parts.some((part) => part.sequences) && {
      sequences: sequences.toSorted((a, b) => b.usedRatio - a.usedRatio),
    }),
    ...(catalogs.length > 0 && { catalog: catalogs.reduce(joinCatalogs) }),
  };
}

function joinCatalogs(a: CatalogFact, b: CatalogFact): CatalogFact {
  return {
    tablesWithoutPrimaryKey: [...a.tablesWithoutPrimaryKey, ...b.tablesWithoutPrimaryKey],
    invalidIndexes: [...a.invalidIndexes, ...b.invalidIndexes],
    unvalidatedConstraints: [...a.unvalidatedConstraints, ...b.unvalidatedConstraints],
  };
}
