import { createHash } from "node:crypto";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "@db/core";

/** Access methods an index can have here. */
export type IndexMethod = "btree" | "gin" | "gist" | "brin" | "hash" | "spgist";

/** One key of an index: a column, or an SQL expression over the row, in exactly one of the two fields. */
export interface IndexKey {
  readonly column?: string;
  /** SQL, immutable: `lower(email)`. */
  readonly expression?: string;
  readonly descending?: boolean;
  /** Default: last when ascending, first when descending, as in PostgreSQL. */
  readonly nulls?: "first" | "last";
  /** `gin_trgm_ops`, `jsonb_path_ops`, `text_pattern_ops`. Default: the type's own. */
  readonly opclass?: string;
  readonly collation?: string;
}

/** An index as data. `CREATE INDEX` is made of it; nothing else is. */
export interface IndexDefinition {
  /** Default `public`. */
  readonly schema?: string;
  readonly table: string;
  /** Default: made of the table and the keys, at most 63 bytes. */
  readonly name?: string;
  /** Default `btree`. */
  readonly method?: IndexMethod;
  readonly keys: readonly IndexKey[];
  /** Columns kept in the leaves for index-only scans. */
  readonly include?: readonly string[];
  /** Predicate of a partial index. */
  readonly where?: string;
  readonly unique?: boolean;
  /** Storage parameters: `{ pages_per_range: 32 }`. */
  readonly with?: Readonly<Record<string, string | number>>;
  /** Extensions it needs, such as `pg_trgm`. */
  readonly requires?: readonly string[];
}

/** The name an index goes by: its own, or one made of the table and the keys, cut to 63 bytes with a short hash. */
export function indexName(definition: IndexDefinition): string {
  if (definition.name !== undefined) return definition.name;
  const keys = definition.keys.map((key) => key.column ?? wordsOf(key.expression ?? ""));
  const method = definition.method === undefined || definition.method === "btree" ? [] : [definition.method];
  const partial = definition.where === undefined ? [] : ["partial"];
  const name = [definition.table, ...keys, ...method, ...partial, "idx"].join("_");
  // What two definitions of one table and keys may differ in is in the hash, so that their names differ too.
  const { include, where, keys: full } = definition;
  const plain = full.every((key) => key.column !== undefined && Object.keys(key).length === 1);
  if (plain && include === undefined && where === undefined && Buffer.byteLength(name) <= 63) return name;
  const hash = createHash("sha256")
    .update(JSON.stringify([full, include, where]))
    .digest("hex")
    .slice(0, 6);
  let head = name.replace(/_idx$/, "");
  while (Buffer.byteLength(head) > 52) head = head.slice(0, -1);
  return `${head}_${hash}_idx`;
}

/**
 * `CREATE INDEX` for a definition, one line. `concurrently` lets writes go on, and cannot stand in a transaction;
 * `only` leaves the partitions of a partitioned table out.
 */
export function createIndexSql(
  definition: IndexDefinition,
  options: { readonly concurrently?: boolean; readonly only?: boolean } = {},
): string {
  const { schema = "public", table, method = "btree", keys, include, where, unique } = definition;
  const parts = [
    `create ${unique === true ? "unique " : ""}index ${options.concurrently === true ? "concurrently " : ""}`,
    `${quoteIdentifier(indexName(definition))} on ${options.only === true ? "only " : ""}`,
    `${quoteQualified(schema, table)} using ${method} `,
    `(${keys.map(keySql).join(", ")})`,
  ];
  if (include !== undefined && include.length > 0) parts.push(` include (${include.map(quoteIdentifier).join(", ")})`);
  const storage = Object.entries(definition.with ?? {});
  if (storage.length > 0) {
    parts.push(
      ` with (${storage.map(([k, v]) => `${quoteIdentifier(k)} = ${quoteLiteral(String(v)).trim()}`).join(", ")})`,
    );
  }
  if (where !== undefined) parts.push(` where ${where}`);
  return parts.join("");
}

/** `DROP INDEX` for an index by name, concurrently unless told otherwise. */
export function dropIndexSql(
  index: { readonly schema: string; readonly name: string },
  { concurrently = true }: { readonly concurrently?: boolean } = {},
): string {
  return `drop index ${concurrently ? "concurrently " : ""}if exists ${quoteQualified(index.schema, index.name)}`;
}

function keySql(key: IndexKey): string {
  const parts = [key.column === undefined ? `(${key.expression ?? ""})` : quoteIdentifier(key.column)];
  if (key.collation !== undefined) parts.push(`collate ${quoteIdentifier(key.collation)}`);
  if (key.opclass !== undefined) parts.push(quoteIdentifier(key.opclass));
  if (key.descending === true) parts.push("desc");
  if (key.nulls !== undefined) parts.push(`nulls ${key.nulls}`);
  return parts.join(" ");
}

function wordsOf(expression: string): string {
  return (expression.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? ["expression"]).slice(0, 3).join("_");
}
