import type { Partition } from "./partition.ts";

/** A column with what the planner knows of it. */
export interface ColumnFacts {
  readonly name: string;
  /** As `format_type` prints it, without modifiers: `character varying`. */
  readonly type: string;
  /** PostgreSQL's category of the type: `N` numeric, `S` string, `D` date and time, `B` boolean, `A` array. */
  readonly category: string;
  readonly notNull: boolean;
  /** Distinct values, estimated; null without statistics. */
  readonly distinct: number | null;
  /** 0 to 1; null without statistics. */
  readonly nullFraction: number | null;
  /** −1 to 1: how far the order of values follows the order on disk; null without statistics. */
  readonly correlation: number | null;
  /** Bytes; null without statistics. */
  readonly averageWidth: number | null;
  /** For booleans, share of rows that are true, 0 to 1; null without statistics. */
  readonly trueFraction: number | null;
}

/** A table or materialized view. */
export interface TableFacts {
  readonly schema: string;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "partition" | "materialized-view";
  /** Found by its bare name through the search path. */
  readonly visible: boolean;
  /** Estimated; 0 when never analysed and empty. */
  readonly rows: number;
  readonly pages: number;
  readonly bytes: number;
  readonly sequentialScans: number;
  readonly sequentialRows: number;
  readonly indexScans: number;
  /** Rows inserted, updated and deleted since the statistics began. */
  readonly writes: number;
  readonly columns: readonly ColumnFacts[];
  /** The tables below it, parents before children; null when it is not partitioned. */
  readonly partitions: readonly Partition[] | null;
}

/** One key of an index there is. */
export interface IndexKeyFacts {
  /** Null for an expression. */
  readonly column: string | null;
  /** As `pg_get_indexdef` prints it, for an expression. */
  readonly expression: string | null;
  readonly opclass: string;
  /** True when it is the type's own operator class. */
  readonly defaultOpclass: boolean;
  readonly collation: string | null;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** An index there is. */
export interface IndexFacts {
  readonly schema: string;
  readonly name: string;
  readonly table: string;
  readonly method: string;
  readonly keys: readonly IndexKeyFacts[];
  readonly include: readonly string[];
  /** Predicate of a partial index, as PostgreSQL prints it. */
  readonly where: string | null;
  readonly unique: boolean;
  readonly nullsNotDistinct: boolean;
  readonly primary: boolean;
  /** Stands behind a constraint: primary key, unique, exclusion, or the target of a foreign key. */
  readonly constraint: string | null;
  readonly valid: boolean;
  /** Rows are told apart by it in logical replication, or the table is kept in its order. */
  readonly replicaIdentity: boolean;
  readonly clustered: boolean;
  /** Belongs to a partitioned table's index. */
  readonly partition: boolean;
  readonly bytes: number;
  /** On this server, and on the replicas that were asked, since their statistics began. */
  readonly scans: number;
  /** ISO 8601; null when never, or before 16. */
  readonly lastScan: string | null;
  /** `CREATE INDEX …` as the server prints it. */
  readonly ddl: string;
}

/** A foreign key. */
export interface ForeignKeyFacts {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly referencesSchema: string;
  readonly referencesTable: string;
}

/** One kind of statement the application runs. */
export interface WorkloadStatement {
  /** `queryid` as text, or any name. */
  readonly id: string;
  /** Normalised text, `$1` where values stood; plain SQL with values is read as well. */
  readonly text: string;
  readonly calls: number;
  /** Milliseconds spent in it, all calls together. */
  readonly totalMs: number;
}

/** Everything the analysis works from. Plain data. */
export interface IndexSnapshot {
  /** `server_version_num`: 180004. */
  readonly serverVersion: number;
  readonly inRecovery: boolean;
  /** Standbys connected now; their scans are not in ours. */
  readonly replicas: number;
  readonly replicasAsked: number;
  /** Since when scans are counted, ISO 8601; null when unknown. */
  readonly statisticsSince: string | null;
  readonly statisticsAgeMs: number | null;
  readonly textSearchConfig: string;
  readonly installed: readonly string[];
  readonly available: readonly string[];
  readonly tables: readonly TableFacts[];
  readonly indexes: readonly IndexFacts[];
  readonly foreignKeys: readonly ForeignKeyFacts[];
  readonly workload: {
    readonly source: "pg_stat_statements" | "given" | "none";
    /** Why there is none, when there is none. */
    readonly reason: string | null;
    readonly statements: readonly WorkloadStatement[];
  };
}

/** The table a name means: by schema, or through the search path, or the only one of that name. */
export function findTableFacts(
  snapshot: Pick<IndexSnapshot, "tables">,
  name: string,
  schema?: string,
): TableFacts | undefined {
  const named = snapshot.tables.filter((table) => table.name === name);
  if (schema !== undefined) return named.find((table) => table.schema === schema);
  return named.find((table) => table.visible) ?? (named.length === 1 ? named[0] : undefined);
}
