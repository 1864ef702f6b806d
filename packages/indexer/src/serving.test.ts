import { describe, expect, test } from "vitest";
import type { IndexDefinition } from "./definition.ts";
import { servingIndex } from "./serving.ts";
import type { IndexFacts, IndexKeyFacts, TableFacts } from "./snapshot.ts";

const column = (name: string, distinct: number | null): TableFacts["columns"][number] =>
  ({ name, distinct }) as TableFacts["columns"][number];

const table = {
  schema: "public",
  name: "t",
  rows: 100_000,
  columns: [column("a", 100), column("b", 5_000), column("c", null)],
} as unknown as TableFacts;

function key(name: string, rest: Partial<IndexKeyFacts> = {}): IndexKeyFacts {
  const plain = { column: name, expression: null, opclass: "int4_ops", defaultOpclass: true, collation: null };
  return { ...plain, descending: false, nullsFirst: false, ...rest };
}

function index(keys: readonly IndexKeyFacts[], rest: Partial<IndexFacts> = {}): IndexFacts {
  const plain = { schema: "public", table: "t", name: "i", method: "btree", valid: true, unique: false, where: null };
  return { ...plain, keys, ...rest } as IndexFacts;
}

const wants = (...names: readonly string[]): IndexDefinition => ({
  table: "t",
  keys: names.map((name) => (name.startsWith("-") ? { column: name.slice(1), descending: true } : { column: name })),
});

describe("an index serves a candidate", () => {
  test.each<[string, IndexDefinition, number, IndexFacts, boolean]>([
    ["when it is the same", wants("a"), 1, index([key("a")]), true],
    ["when the candidate begins it", wants("a"), 1, index([key("a"), key("c")]), true],
    ["with equality keys in another order", wants("a", "c"), 2, index([key("c"), key("a")]), true],
    ["not when the candidate only continues it", wants("a", "c"), 2, index([key("a")]), false],
    ["not when the order after equality differs", wants("a", "c"), 1, index([key("c"), key("a")]), false],
    ["read backwards", wants("a", "-c"), 1, index([key("a"), key("c")]), true],
    ["not when one of two orders is turned", wants("-a", "c"), 0, index([key("a"), key("c")]), false],
    ["when it is unique over some of the keys", wants("c", "a"), 2, index([key("c")], { unique: true }), true],
    ["when some of the keys find few rows", wants("b", "a"), 2, index([key("b")]), true],
    ["not when it is invalid", wants("a"), 1, index([key("a")], { valid: false }), false],
    ["not when it holds only some rows", wants("a"), 1, index([key("a")], { where: "(c > 1)" }), false],
    ["not by another method", wants("a"), 1, index([key("a")], { method: "hash" }), false],
    ["not by another operator class", wants("a"), 1, index([key("a", { defaultOpclass: false })]), false],
    ["not on another table", wants("a"), 1, index([key("a")], { table: "u" }), false],
  ])("%s", (_when, candidate, equalityKeys, existing, serves) => {
    expect(servingIndex(candidate, equalityKeys, [existing], table) !== undefined).toBe(serves);
  });

  test("when it holds just the rows the candidate asks for, however the server writes that", () => {
    const partial = { ...wants("a"), where: '"c" is not null' };
    expect(servingIndex(partial, 1, [index([key("a")], { where: "(c IS NOT NULL)" })], table)).toBeDefined();
  });
});
