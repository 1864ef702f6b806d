import { describe, expect, test } from "vitest";
import { isSingleQuery, loggable, withoutLiterals } from "./sql-text.ts";

describe("withoutLiterals", () => {
  test.each([
    ["select 1, 'it''s', E'a\\'b', $$x;y$$, $t$ ' $t$", "select ?, ?, ?, ?, ?"],
    [
      'select "a;\'b", t1.x2 from "T" -- 5\n where a = $1 /* 7 */ and b = 3.5',
      'select "a;\'b", t1.x2 from "T" where a = $1 and b = ?',
    ],
    ["insert into t values (-12, 'x')", "insert into t values (-?, ?)"],
  ])("of %s", (sql, expected) => {
    expect(withoutLiterals(sql)).toBe(expected);
  });

  test("keeps a log line short", () => {
    expect(loggable(`select ${"a, ".repeat(100_000)}b`)).toHaveLength(1_000);
  });
});

describe("isSingleQuery", () => {
  test.each([
    ["select 1", true],
    [" insert into t values (';')", true],
    ["update t set a = 1; ", true],
    ["select 1; select 2", false],
    ["call p()", false],
    ["do $$ begin commit; end $$", false],
    ["begin", false],
  ])("of %s is %s", (sql, expected) => {
    expect(isSingleQuery(sql)).toBe(expected);
  });
});
