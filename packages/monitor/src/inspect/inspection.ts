/** How a value reads: the number itself stays raw, its unit is in the column's name. */
export type CellKind =
  | "text"
  /** SQL without its literals. */
  | "code"
  | "count"
  /** A number that is a name: never with separators. */
  | "id"
  | "bytes"
  | "seconds"
  | "milliseconds"
  /** 0 to 1. */
  | "ratio"
  /** ISO 8601. */
  | "time"
  | "flag";

export interface InspectColumn {
  /** Key in a row, camel case, the unit in it. */
  readonly name: string;
  /** For people. */
  readonly label: string;
  readonly kind: CellKind;
}

/** One question to a server, as data: help, completion, tables and JSON are made of it. */
export interface Inspection {
  readonly name: string;
  /** Names that other tools give the same question. */
  readonly aliases?: readonly string[];
  readonly title: string;
  /** One line: what is seen. */
  readonly summary: string;
  readonly columns: readonly InspectColumn[];
  /** First major version that can answer. Default 12. */
  readonly since?: number;
  /** Needs `pg_stat_statements`. */
  readonly statements?: true;
  /** What no rows means. */
  readonly empty: string;
  /** The statement; its columns bear the names above. `$1` is the most rows wanted. */
  readonly sql: (server: InspectedServer) => string;
}

export interface InspectedServer {
  /** Major version. */
  readonly version: number;
  /** Quoted name of `pg_stat_statements` with its schema; empty where it is not installed. */
  readonly statements: string;
}

export const text = (name: string, label: string): InspectColumn => ({ name, label, kind: "text" });
export const code = (name: string, label: string): InspectColumn => ({ name, label, kind: "code" });
export const id = (name: string, label: string): InspectColumn => ({ name, label, kind: "id" });
export const count = (name: string, label: string): InspectColumn => ({ name, label, kind: "count" });
export const bytes = (name: string, label: string): InspectColumn => ({ name, label, kind: "bytes" });
export const seconds = (name: string, label: string): InspectColumn => ({ name, label, kind: "seconds" });
export const milliseconds = (name: string, label: string): InspectColumn => ({ name, label, kind: "milliseconds" });
export const ratio = (name: string, label: string): InspectColumn => ({ name, label, kind: "ratio" });
export const time = (name: string, label: string): InspectColumn => ({ name, label, kind: "time" });
export const flag = (name: string, label: string): InspectColumn => ({ name, label, kind: "flag" });
