import { describe, expect, test } from "vitest";
import type { Condition } from "./condition.ts";
import { readQueryShape } from "./query-shape.ts";

async function conditions(sql: string): Promise<readonly string[]> {
  const { blocks } = await readQueryShape(sql);
  const show = ({ operand, test, other, literal }: Condition): string => {
    const name = (side: Condition["operand"]): string =>
      `${side.qualifier === null ? "" : `${side.qualifier}.`}${side.expression ?? side.column}`;
    return [name(operand), test, other === null ? literal : name(other)].filter((part) => part !== null).join(" ");
  };
  return blocks.flatMap((block) => [
    ...block.conditions.map(show),
    ...block.alternatives.map((arms) => `(${arms.map(show).join(" or ")})`),
  ]);
}

describe("readQueryShape reads what a statement asks", () => {
  test.each<[string, readonly string[]]>([
    ["select 1 from t where a = $1 and t.b <> 2", ["a equal"]],
    ["select 1 from t where 5 < a and a <= $1", ["a range 5", "a range"]],
    ["select 1 from t where a between $1 and $2", ["a between"]],
    ["select 1 from t where a in ($1, $2) or b = 3 and c", []],
    ["select 1 from t where a = 1 or a = 2", ["a in"]],
    ["select 1 from t where a = 1 or b ilike $1", ["(a equal 1 or b ilike)"]],
    ["select 1 from t where a = any($1)", ["a in"]],
    ["select 1 from t where a in (select x from u where y = 2)", ["y equal 2", "a in"]],
    ["select 1 from t where not exists (select from u where u.id = t.id)", ["u.id equal t.id"]],
    [
      "select 1 from t where a is null and b is not null and c and not d and e is true",
      ["a is-null", "b is-not-null", "c is-true", "d is-false", "e is-true"],
    ],
    ["select 1 from t join u using (id) where t.x = 1", ["t.id equal u.id", "t.x equal 1"]],
    ["select 1 from t left join u on u.k = t.k", ["u.k equal t.k"]],
    ["with x as (select 1 from t where a = 1) select 1 from x where b = 2", ["a equal 1"]],
    ["select 1 from t where a = 1 union select 1 from u where b = 2", ["a equal 1", "b equal 2"]],
    ["select (select 1 from u where b = 2) from t where a = 1", ["b equal 2", "a equal 1"]],
    ["select 1 from (select * from t where a = 1) s", ["a equal 1"]],
    ["update t set a = 1 from u where t.id = u.id", ["t.id equal u.id"]],
    ["delete from t using u where t.id = u.id", ["t.id equal u.id"]],
    ["insert into t select * from u where a = 1", ["a equal 1"]],
    ["select 1 from t where lower(t.a) = $1", ['t.lower("a") equal']],
    ["select 1 from t where data ->> 'k' = $1", [`("data" ->> 'k') equal`]],
    ["select 1 from t where data ->> $1 = $2", []],
    ["select 1 from t where random() < a", ["a range"]],
    [
      "select 1 from t where to_tsvector('german', coalesce(a, '') || ' ' || b) @@ plainto_tsquery($1)",
      [`to_tsvector('german'::regconfig, ((coalesce("a", '') || ' ') || "b")) text-search`],
    ],
    ["select 1 from t where a @> $1 and b && $2 and c ? 'k'", ["a contains", "b overlaps", "c has-key 'k'"]],
    ["select 1", []],
    ["select 1 from t; select 2 from u where a = 1", []],
    ["create table t (a int)", []],
  ])("%s", async (sql, expected) => {
    expect(await conditions(sql)).toEqual(expected);
  });

  test("constants lost from a recorded search are filled in with the likely ones", async () => {
    const sql = "select 1 from t where to_tsvector($1::regconfig, coalesce(a, $2) || $3 || b) @@ plainto_tsquery($4)";
    expect(await conditions(sql)).toEqual([
      `to_tsvector('english'::regconfig, ((coalesce("a", '') || ' ') || "b")) text-search`,
    ]);
  });

  test("an order is read by name, position and alias, and ends with what no column gives", async () => {
    const { blocks } = await readQueryShape("select a, b as c from t order by 1 desc, c nulls first, random() limit 5");
    expect(blocks[0]!.limited).toBe(true);
    expect(blocks[0]!.order.map((key) => [key.operand.column, key.descending, key.nulls])).toEqual([
      ["a", true, null],
      ["b", false, "first"],
      ["", false, null],
    ]);
  });

  test("a text that is no SQL is refused with the parser's words", async () => {
    await expect(readQueryShape("select from from")).rejects.toThrow("syntax error");
  });
});
