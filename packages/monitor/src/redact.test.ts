import { describe, expect, test } from "vitest";
import { redactSql } from "./redact.ts";

describe("redactSql", () => {
  test.each([
    ["select * from t where a = 'secret' and b = 42", "select * from t where a = ? and b = ?"],
    ["select 'it''s', E'a\\'b', $$x ' y$$, $tag$z$tag$, $1", "select ?, ?, ?, ?, $1"],
    ["alter role x password 'hunter2'", "alter role x password ?"],
    ['select "col 1", t2.c3 from "t -- 2"', 'select "col 1", t2.c3 from "t -- 2"'],
    ["select 1 -- the password is 'x'\n, 2", "select ? , ?"],
    ["select /* 'a' */ 1.5e3, U&'d', x'1f'", "select ?, ?, ?"],
    ["insert into t values ('cut off in the midd", "insert into t values (?"],
    ["select $$cut off too", "select ?"],
  ])("keeps names and shape, not values: %s", (sql, expected) => {
    expect(redactSql(sql, 500)).toBe(expected);
  });

  test("cuts to the length asked for", () => {
    expect(redactSql("select aaaaaaaaaaaaaaaa", 10)).toBe("select aa…");
  });
});
