/** One table's rows, made on demand. */
export interface GeneratedTable {
  /** Unqualified; the example's tables are found by the connection's search path. */
  readonly name: string;
  readonly columns: readonly string[];
  /** How many rows `lines` gives. */
  readonly rows: number;
  /** The rows in COPY's text format, in order, as a fresh iteration on each call. */
  lines(): Iterable<string>;
}

/** Everything a load puts into a database: the same seed, scale and version give the same bytes. */
export interface Dataset {
  readonly application: string;
  /** Raised when the generator changes what it makes. */
  readonly version: number;
  readonly seed: number;
  readonly scale: number;
  /** In an order in which foreign keys hold. */
  readonly tables: readonly GeneratedTable[];
}
