import { type Queryable, sqlStateOf } from "@db/core";
import { catalogSql } from "./catalog-sql.ts";
import { sha256 } from "./checksum.ts";
import { CatalogBusyError } from "./errors.ts";

/** A column's type: the name PostgreSQL stores (`int4`, `varchar`), with its schema when it is no built-in. */
export interface SqlType {
  readonly name: string;
  /** Length, precision and scale as written: `[10, 2]`. */
  readonly mods: readonly number[];
  readonly array: boolean;
}

export interface CatalogColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly notNull: boolean;
  /** The default's expression as the server prints it; null without one. */
  readonly default: string | null;
  readonly generated: "stored" | "virtual" | null;
  readonly identity: boolean;
}

export interface CatalogConstraint {
  readonly name: string;
  readonly type: "check" | "foreign" | "unique" | "primary" | "exclusion" | "not-null" | "other";
  readonly columns: readonly string[];
  readonly validated: boolean;
  /** As `pg_get_constraintdef` prints it; empty for one that only a plan makes. */
  readonly definition: string;
  /** Qualified name of the table a foreign key points at. */
  readonly references: string | null;
}

export interface CatalogIndex {
  readonly name: string;
  /** Plain key columns in order; an expression stands as `null`. */
  readonly columns: readonly (string | null)[];
  readonly unique: boolean;
  readonly valid: boolean;
  /** True when a constraint owns it. */
  readonly constraint: boolean;
  readonly method: string;
  readonly partial: boolean;
  readonly definition: string;
}

/** An object known by its name and what the server prints of it. */
export interface CatalogObject {
  readonly name: string;
  readonly definition: string;
}

export interface CatalogTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "view" | "materialized" | "foreign";
  /** Estimated rows; null when nothing is known of them. */
  readonly rows: number | null;
  readonly columns: readonly CatalogColumn[];
  readonly constraints: readonly CatalogConstraint[];
  readonly indexes: readonly CatalogIndex[];
  /** The query of a view; null for other relations. */
  readonly definition: string | null;
  readonly triggers: readonly CatalogObject[];
  readonly policies: readonly CatalogObject[];
  /** Everything else a migration may set: row security, persistence, storage parameters, partitioning, parents. */
  readonly properties: readonly string[];
  /** Rights of others than the owner, `reader SELECT`; empty by default. */
  readonly privileges: readonly string[];
}

export interface CatalogType {
  readonly schema: string;
  readonly name: string;
  readonly kind: "enum" | "domain" | "composite" | "range" | "base";
  /** A domain's base type. */
  readonly base: SqlType | null;
  /** True for a domain with a CHECK or NOT NULL, its own or a base domain's. */
  readonly constrained: boolean;
  /** An enum's values in order. */
  readonly labels: readonly string[];
  /** A domain's constraints and default, a composite type's columns. */
  readonly details: readonly string[];
}

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  /** As `pg_get_function_identity_arguments` prints them: tells overloads apart. */
  readonly arguments: string;
  readonly volatile: boolean;
  /** Hash of arguments, result, body and settings. */
  readonly hash: string;
  readonly privileges: readonly string[];
}

/** What a plan knows of a database: user schemas only, without the history's own. */
export interface Catalog {
  /** As `server_version_num`: 180004. */
  readonly serverVersion: number;
  readonly timeZone: string;
  readonly searchPath: readonly string[];
  readonly tables: readonly CatalogTable[];
  readonly types: readonly CatalogType[];
  readonly functions: readonly CatalogFunction[];
  /** By qualified name: type, start, increment, bounds and owner, never the value it has reached. */
  readonly sequences: readonly CatalogObject[];
  /** `public` is always there and not told of. */
  readonly schemas: readonly string[];
  /** With their versions. */
  readonly extensions: readonly CatalogObject[];
  /** By object, as `pg_identify_object` calls it. */
  readonly comments: readonly CatalogObject[];
}

/** A database with nothing in it, for linting without one. Sizes unknown, PostgreSQL 18. */
export const emptyCatalog: Catalog = Object.freeze({
  serverVersion: 180_000,
  timeZone: "UTC",
  searchPath: ["public"],
  tables: [],
  types: [],
  functions: [],
  sequences: [],
  schemas: [],
  extensions: [],
  comments: [],
});

/**
 * Reads the catalog in one round trip.
 * @throws {CatalogBusyError} when a table stays locked exclusively for two seconds
 */
export async function collectCatalog(session: Queryable, historySchema: string): Promise<Catalog> {
  try {
    const { rows } = await session.query<{ catalog: string }>(catalogSql, [historySchema]);
    return readCatalog(JSON.parse(rows[0]?.catalog ?? "{}") as RawCatalog);
  } catch (error) {
    if (sqlStateOf(error) !== "55P03") throw error;
    throw new CatalogBusyError("the catalog could not be read within 2 s: a table is locked exclusively", {
      cause: error,
      hint: "Find the session that holds the lock in pg_locks, wait for it or end it, then try again.",
    });
  }
}

/** SHA-256 over everything a migration could change, sizes and settings left out. */
export function fingerprintCatalog(catalog: Catalog): string {
  const { tables, types, functions, sequences, schemas, extensions, comments } = catalog;
  const sized = tables.map(({ rows: _rows, ...table }) => table);
  return sha256(JSON.stringify([sized, types, functions, sequences, schemas, extensions, comments]));
}

interface RawCatalog extends Omit<Catalog, "tables" | "types"> {
  readonly tables: readonly RawTable[];
  readonly types: readonly RawType[];
}

interface RawTable extends Omit<CatalogTable, "columns" | "constraints" | "kind"> {
  readonly kind: string;
  readonly bytes: number | null;
  readonly columns: readonly {
    name: string;
    type: string;
    base: string;
    array: boolean;
    notNull: boolean;
    default: string | null;
    generated: string;
    identity: boolean;
  }[];
  readonly constraints: readonly (Omit<CatalogConstraint, "type"> & { readonly type: string })[];
}

interface RawType extends Omit<CatalogType, "base" | "kind"> {
  readonly kind: string;
  readonly base: string;
  readonly baseName: string | null;
}

const tableKinds: Readonly<Record<string, CatalogTable["kind"]>> = {
  r: "table",
  p: "partitioned",
  v: "view",
  m: "materialized",
  f: "foreign",
};
const constraintTypes: Readonly<Record<string, CatalogConstraint["type"]>> = {
  c: "check",
  f: "foreign",
  u: "unique",
  p: "primary",
  x: "exclusion",
  n: "not-null",
};
const typeKinds: Readonly<Record<string, CatalogType["kind"]>> = { e: "enum", d: "domain", c: "composite", r: "range" };

function readCatalog(raw: RawCatalog): Catalog {
  return {
    ...raw,
    tables: raw.tables.map(({ bytes, ...table }) => ({
      ...table,
      kind: tableKinds[table.kind] ?? "table",
      // A hundred bytes a row is a guess that only has to tell small from large.
      rows: (table.rows ?? -1) >= 0 ? table.rows : bytes === null ? null : Math.round(bytes / 100),
      columns: table.columns.map((column) => ({
        name: column.name,
        type: { name: column.base, mods: modsOf(column.type), array: column.array },
        notNull: column.notNull,
        default: column.default,
        generated: column.generated === "s" ? "stored" : column.generated === "v" ? "virtual" : null,
        identity: column.identity,
      })),
      constraints: table.constraints.map((constraint) => ({
        ...constraint,
        type: constraintTypes[constraint.type] ?? "other",
      })),
    })),
    types: raw.types.map(({ baseName, ...type }) => ({
      ...type,
      kind: typeKinds[type.kind] ?? "base",
      base: baseName === null ? null : { name: baseName, mods: modsOf(type.base), array: type.base.endsWith("[]") },
    })),
  };
}

function modsOf(formatted: string): number[] {
  const list = /\((-?\d+(?:,-?\d+)*)\)/.exec(formatted)?.[1];
  return list ? list.split(",").map(Number) : [];
}
