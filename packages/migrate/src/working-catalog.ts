import type {
  Catalog,
  CatalogColumn,
  CatalogConstraint,
  CatalogFunction,
  CatalogIndex,
  CatalogType,
} from "./catalog.ts";
import type { Node } from "./parser.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A table as it will be when the statement at hand runs. */
export interface WorkingTable {
  schema: string;
  name: string;
  kind: "table" | "partitioned" | "view" | "materialized" | "foreign";
  rows: number | null;
  columns: Mutable<CatalogColumn>[];
  constraints: Mutable<CatalogConstraint>[];
  indexes: Mutable<CatalogIndex>[];
  /** Names of its policies. */
  policies: string[];
  /** As in the catalog: partitioning, parents, persistence. */
  properties: string[];
  /** Made by the plan itself: nobody uses it yet, so nothing done to it can disturb. */
  fresh: boolean;
}

/** A relation as SQL names it. */
export interface RelationName {
  readonly schemaname?: string;
  readonly relname?: string;
}

/** The catalog in front of each statement of a plan: `replay` moves it from one to the next. */
export class WorkingCatalog {
  readonly serverVersion: number;
  searchPath: readonly string[];
  timeZone: string;
  readonly tables: Map<string, WorkingTable> = new Map();
  readonly types: Map<string, Mutable<CatalogType>> = new Map();
  readonly functions: Map<string, CatalogFunction> = new Map();

  constructor(catalog: Catalog) {
    this.serverVersion = catalog.serverVersion;
    this.searchPath = catalog.searchPath.length > 0 ? catalog.searchPath : ["public"];
    this.timeZone = catalog.timeZone;
    for (const table of catalog.tables) {
      const { schema, name, kind, rows, columns, constraints, indexes, policies, properties } = structuredClone(table);
      this.tables.set(`${schema}.${name}`, {
        schema,
        name,
        kind,
        rows,
        columns: [...columns],
        constraints: [...constraints],
        indexes: [...indexes],
        policies: policies.map((policy) => policy.name),
        properties: [...properties],
        fresh: false,
      });
    }
    for (const type of catalog.types) this.types.set(`${type.schema}.${type.name}`, { ...type });
    for (const f of catalog.functions) {
      const key = `${f.schema}.${f.name}`;
      const known = this.functions.get(key);
      // Overloads share a name: one volatile among them is enough to be careful.
      this.functions.set(key, known?.volatile ? known : f);
    }
  }

  /** Every table is an existing one from here on, with as many rows as it may have got since it was made. */
  settle(): void {
    for (const table of this.tables.values()) {
      if (table.fresh) table.rows = null;
      table.fresh = false;
    }
  }

  /** The name under which a relation is, or would be made. */
  qualify({ schemaname, relname = "" }: RelationName): string {
    if (schemaname !== undefined) return `${schemaname}.${relname}`;
    const schema = this.searchPath.find((candidate) => this.tables.has(`${candidate}.${relname}`));
    return `${schema ?? this.searchPath[0] ?? "public"}.${relname}`;
  }

  table(name: RelationName | undefined): WorkingTable | undefined {
    return name && this.tables.get(this.qualify(name));
  }

  /** The table an index is on. */
  indexOwner(name: RelationName): { table: WorkingTable; index: CatalogIndex } | undefined {
    for (const table of this.tables.values()) {
      if (name.schemaname !== undefined && table.schema !== name.schemaname) continue;
      const index = table.indexes.find((candidate) => candidate.name === name.relname);
      if (index) return { table, index };
    }
    return undefined;
  }

  type(schema: string | undefined, name: string): Mutable<CatalogType> | undefined {
    if (schema !== undefined) return this.types.get(`${schema}.${name}`);
    for (const candidate of this.searchPath) {
      const found = this.types.get(`${candidate}.${name}`);
      if (found) return found;
    }
    return undefined;
  }

  function(schema: string | undefined, name: string): CatalogFunction | undefined {
    if (schema !== undefined) return this.functions.get(`${schema}.${name}`);
    for (const candidate of this.searchPath) {
      const found = this.functions.get(`${candidate}.${name}`);
      if (found) return found;
    }
    return undefined;
  }
}

/** The strings of a list of `String` nodes: a qualified name, a list of columns. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map((node) => ("String" in node ? (node.String.sval ?? "") : ""));
}

/** A dotted name, as DROP and COMMENT hold it, as a relation. */
export function relationOf(object: Node | undefined): RelationName {
  const parts =
    object && "List" in object
      ? stringsOf(object.List.items)
      : object && "String" in object
        ? [object.String.sval ?? ""]
        : [];
  const relname = parts.at(-1) ?? "";
  const schemaname = parts.at(-2);
  return schemaname === undefined ? { relname } : { schemaname, relname };
}

/** `schema.name` as a relation. */
export function splitQualified(qualified: string): RelationName {
  const dot = qualified.indexOf(".");
  return { schemaname: qualified.slice(0, dot), relname: qualified.slice(dot + 1) };
}
