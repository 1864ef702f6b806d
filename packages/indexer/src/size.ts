import type { IndexDefinition } from "./definition.ts";
import type { TableFacts } from "./snapshot.ts";

const pageBytes = 8192;

/**
 * Size of an index before it is made, in bytes: B-tree from the widths and distinct values of its keys, with the
 * deduplication of 13 and later; GIN as a share of the column; BRIN by its ranges. Partial indexes by `share`.
 * Null without statistics.
 * @see https://www.postgresql.org/docs/current/btree.html#BTREE-DEDUPLICATION
 */
export function estimateIndexBytes(definition: IndexDefinition, table: TableFacts, share: number = 1): number | null {
  const rows = Math.max(1, table.rows * share);
  const columns = [...definition.keys.map((key) => key.column), ...(definition.include ?? [])].map((name) =>
    table.columns.find((column) => column.name === name),
  );
  const width = (value: number | null | undefined): number => Math.max(4, value ?? 16);
  if (definition.method === "brin") {
    return Math.max(3, Math.ceil(table.pages / 128 / 200)) * pageBytes;
  }
  if (definition.method === "gin") {
    const bytes = columns.reduce((sum, column) => sum + width(column?.averageWidth), 0) * rows;
    // Trigrams write every character some five times before compression; words and members about once.
    const trigrams = definition.keys.some((key) => key.opclass === "gin_trgm_ops");
    return Math.ceil((bytes * (trigrams ? 1.5 : 0.8)) / pageBytes + 2) * pageBytes;
  }
  const align = (bytes: number): number => Math.ceil(bytes / 8) * 8;
  const keyBytes = align(8 + columns.reduce((sum, column) => sum + width(column?.averageWidth), 0));
  const distinct = columns.reduce((product, column) => product * Math.max(1, column?.distinct ?? rows), 1);
  const perKey = rows / Math.min(rows, distinct);
  const deduplicated = definition.include === undefined && perKey >= 2;
  const keys = rows / perKey;
  const lists = Math.max(1, Math.ceil((perKey * 6) / 800));
  const leafBytes = deduplicated ? keys * (lists * (keyBytes + 4) + align(perKey * 6)) : rows * (keyBytes + 4);
  const leaves = Math.ceil(leafBytes / (8152 * 0.9));
  return (leaves + 1 + Math.ceil(leaves / 150)) * pageBytes;
}
