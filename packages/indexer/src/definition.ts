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
