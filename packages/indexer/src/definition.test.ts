import { describe, expect, test } from "vitest";
import { createIndexSql, dropIndexSql, type IndexDefinition, indexName } from "./definition.ts";

describe("createIndexSql", () => {
  test.each<[IndexDefinition, string]>([
    [
      { table: "bills", keys: [{ column: "status" }] },
      'create index "bills_status_idx" on "public"."bills" using btree ("status")',
    ],
    [
      {
        schema: "Civic",
        table: 'odd"name',
        name: "i",
        unique: true,
        keys: [
          { column: "a", descending: true, nulls: "last" },
          { expression: "lower(b)", opclass: "text_pattern_ops", collation: "C" },
        ],
        include: ["c"],
        with: { fillfactor: 70 },
        where: "a is not null",
      },
      'create unique index "i" on "Civic"."odd""name" using btree ("a" desc nulls last, (lower(b)) collate "C" ' +
        '"text_pattern_ops") include ("c") with ("fillfactor" = \'70\') where a is not null',
    ],
    [
      { table: "t", name: "i", method: "gin", keys: [{ column: "doc", opclass: "jsonb_path_ops" }] },
      'create index "i" on "public"."t" using gin ("doc" "jsonb_path_ops")',
    ],
  ])("%j", (definition, sql) => {
    expect(createIndexSql(definition)).toBe(sql);
  });

  test("builds concurrently, or over no partition, when told to", () => {
    const definition = { table: "t", keys: [{ column: "a" }] };
    expect(createIndexSql(definition, { concurrently: true })).toContain("create index concurrently ");
    expect(createIndexSql(definition, { only: true })).toContain('on only "public"."t"');
    expect(dropIndexSql({ schema: "s", name: "i" })).toBe('drop index concurrently if exists "s"."i"');
  });
});

describe("indexName", () => {
  test("tells apart indexes that differ in more than their columns", () => {
    const base = { table: "t", keys: [{ column: "a" }] };
    const names = [
      base,
      { ...base, where: "a > 1" },
      { ...base, where: "a > 2" },
      { ...base, include: ["b"] },
      { ...base, keys: [{ column: "a", descending: true }] },
      { ...base, method: "brin" as const },
    ].map(indexName);
    expect(new Set(names).size).toBe(names.length);
    expect(names[0]).toBe("t_a_idx");
  });

  test("never exceeds 63 bytes, letters of several bytes included", () => {
    const long = { table: "ä".repeat(40), keys: [{ column: "x".repeat(63) }, { column: "y".repeat(63) }] };
    expect(Buffer.byteLength(indexName(long))).toBeLessThanOrEqual(63);
    expect(indexName(long)).not.toContain("\ufffd");
  });
});
