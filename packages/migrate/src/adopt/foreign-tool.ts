import type { Queryable } from "@db/core";
import type { MigrationFinding } from "../finding.ts";

/** Tools whose folders and histories can be taken over. */
export const foreignTools = [
  "drizzle",
  "prisma",
  "knex",
  "flyway",
  "dbmate",
  "golang-migrate",
  "sqitch",
  "node-pg-migrate",
  "diesel",
] as const;

export type ForeignToolName = (typeof foreignTools)[number];

/** A migration as another tool has it. */
export interface ForeignMigration {
  /** What the tool's own history calls it. */
  readonly key: string;
  /** What the tool's history holds of its text; null when it holds none. */
  readonly checksum: string | null;
  /** Digits that order it, when the tool has them; null when only the order of the list counts. */
  readonly version: string | null;
  readonly name: string;
  readonly kind: "versioned" | "repeatable";
  /** Where it is, from the source folder. */
  readonly file: string;
  readonly up: string;
  readonly down: string | null;
  readonly verify: string | null;
  /** False where the tool was told to use no transaction. */
  readonly transactional: boolean;
  /** Keys that must come before it, beyond the order. */
  readonly depends: readonly string[];
}

/** Another tool's folder, read and not yet judged. */
export interface ForeignFolder {
  readonly tool: ForeignToolName;
  /** In the tool's order. */
  readonly migrations: readonly ForeignMigration[];
  readonly findings: readonly MigrationFinding[];
}

/** What a tool's history says of one migration. */
export interface ForeignRow {
  readonly key: string;
  readonly checksum: string | null;
  /** Milliseconds since the epoch; null when the tool keeps no time. */
  readonly appliedAt: number | null;
  readonly state: "applied" | "failed";
}

/** Another tool's history as found in a database. */
export interface ForeignHistory {
  readonly tool: ForeignToolName;
  /** Qualified. */
  readonly table: string;
  readonly rows: readonly ForeignRow[];
  /** Tools that keep one version only: everything up to it is applied. */
  readonly upTo: string | null;
}

/** How to know one tool. */
export interface ForeignTool {
  readonly name: ForeignToolName;
  /** Whether a folder is this tool's; `entries` are the names in it. */
  recognises(directory: string, entries: readonly string[]): Promise<boolean> | boolean;
  readFolder(directory: string): Promise<ForeignFolder>;
  /** Whether a table is its history, by name and columns. */
  isHistory(table: string, columns: ReadonlySet<string>): boolean;
  /** `table` is quoted and qualified. */
  readHistory(
    session: Queryable,
    table: string,
    columns: ReadonlySet<string>,
  ): Promise<Pick<ForeignHistory, "rows" | "upTo">>;
  /** Whether a row speaks of a migration, where more than the key counts. */
  matches?(migration: { readonly key: string; readonly checksum: string | null }, row: ForeignRow): boolean;
}

/** A finding on a file of another tool's folder. */
export function importFinding(
  id: string,
  severity: "critical" | "warn" | "info",
  file: string | null,
  title: string,
  hint: string,
): MigrationFinding {
  return {
    id,
    severity,
    title,
    hint,
    migration: null,
    rule: null,
    file,
    line: null,
    column: null,
    blocks: severity === "critical",
    safer: null,
  };
}
