import type { IndexKey } from "./definition.ts";
import type { TableCondition } from "./resolve.ts";
import type { IndexSnapshot } from "./snapshot.ts";

/** The key of a GIN index that answers a condition, and why. */
export interface WordKey {
  readonly key: IndexKey;
  readonly why: string;
  /** Extension it needs. */
  readonly requires?: string;
}

/** GIN for parts of words (trigrams), documents, arrays and jsonb; undefined for what GIN does not answer. */
export function wordKey(
  { test, column, expression, literal }: TableCondition,
  snapshot: IndexSnapshot,
): WordKey | undefined {
  const own: IndexKey = expression === null ? { column: column.name } : { expression };
  const name = expression ?? column.name;
  const has = (extension: string): boolean =>
    snapshot.installed.includes(extension) || snapshot.available.includes(extension);
  switch (test) {
    case "like":
    case "ilike":
    case "regex": {
      // A pattern that starts with its text is a range in byte order; every other needs trigrams.
      if (test === "like" && literal !== null && !/^'[%_]/.test(literal)) return undefined;
      if (column.category !== "S" || !has("pg_trgm")) return undefined;
      const why = `finds ${name.replaceAll('"', "")} by a part of it`;
      return { key: { ...own, opclass: "gin_trgm_ops" }, why, requires: "pg_trgm" };
    }
    case "text-search":
      if (column.type !== "tsvector" && expression === null) return undefined;
      return {
        key: own,
        why:
          `searches the words of ${name.replaceAll('"', "")}` +
          (expression === null ? "" : ", if that is its text to the letter"),
      };
    case "contains":
    case "overlaps":
    case "has-key": {
      if (column.type === "jsonb" && test === "contains") {
        return { key: { ...own, opclass: "jsonb_path_ops" }, why: `finds documents by what ${name} holds` };
      }
      const keyed = column.type === "jsonb" || (column.category === "A" && test !== "has-key");
      return keyed ? { key: own, why: `finds rows by members of ${name}` } : undefined;
    }
    default:
      return undefined;
  }
}
