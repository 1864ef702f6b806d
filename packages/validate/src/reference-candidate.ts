import type { Catalog, CatalogTable } from "./catalog.ts";
import type { Candidate } from "./suggest.ts";
import { tableLabel } from "./table-name.ts";

/**
 * Columns that look like references but are declared as none: `bill_id` where a table `bill` or `bills` has a
 * one-column key of the same type, or a column named as some table's own key (`film_id`).
 */
export function referenceCandidates(catalog: Catalog, tables: readonly CatalogTable[]): readonly Candidate[] {
  const targets = catalog.tables.filter(
    (table) => (table.kind === "table" || table.kind === "partitioned") && table.primaryKey.length === 1,
  );
  return tables.flatMap((table) =>
    table.columns.flatMap((column) => {
      if (table.foreignKeys.some((key) => key.columns.includes(column.name))) return [];
      if (table.primaryKey.length === 1 && table.primaryKey[0] === column.name) return [];
      const target = targets.find(
        (candidate) =>
          candidate !== table &&
          candidate.schema === table.schema &&
          refersByName(column.name, candidate) &&
          candidate.columns.find(({ name }) => name === candidate.primaryKey[0])?.type === column.type,
      );
      if (target === undefined) return [];
      return [
        {
          rule: {
            kind: "foreign-key" as const,
            table: tableLabel(table),
            columns: [column.name],
            references: { table: tableLabel(target), columns: target.primaryKey },
          },
          confidence: "high" as const,
          why: `its name and type point to ${tableLabel(target)}, and no foreign key says so`,
        },
      ];
    }),
  );
}

function refersByName(column: string, target: CatalogTable): boolean {
  const key = target.primaryKey[0]!;
  if (key !== "id" && key === column) return true;
  const stem = /^(.+?)_?id$/i.exec(column)?.[1]?.toLowerCase();
  if (stem === undefined) return false;
  const name = target.name.toLowerCase();
  return [stem, `${stem}s`, `${stem}es`, stem.replace(/y$/, "ies")].includes(name);
}
