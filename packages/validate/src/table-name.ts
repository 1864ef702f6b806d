import { quoteQualified } from "@db/core";
import type { Catalog, CatalogTable } from "./catalog.ts";

/** Splits `schema.table` at dots outside double quotes. Letters keep their case. */
export function splitTableName(name: string): readonly string[] {
  const parts = name.match(/"(?:[^"]|"")*"|[^."]+/g) ?? [];
  return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.trim()));
}

/** The table a rule names: by schema, or the one the search path finds, or the only one of that name. */
export function findTable(catalog: Catalog, name: string): CatalogTable | undefined {
  const parts = splitTableName(name);
  if (parts.length === 2) return catalog.tables.find((t) => t.schema === parts[0] && t.name === parts[1]);
  if (parts.length !== 1) return undefined;
  const named = catalog.tables.filter((table) => table.name === parts[0]);
  return named.find((table) => table.visible) ?? (named.length === 1 ? named[0] : undefined);
}

/** How a table is shown: `public.bills`. */
export function tableLabel(table: { readonly schema: string; readonly name: string }): string {
  return `${table.schema}.${table.name}`;
}

/** How a table stands in SQL: `"public"."bills"`. */
export function tableSql(table: { readonly schema: string; readonly name: string }): string {
  return quoteQualified(table.schema, table.name);
}
