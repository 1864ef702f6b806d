import { describe, expect, test } from "vitest";
import { TextPlaces } from "./file-problem.ts";
import { loadParser, SqlSyntaxError } from "./parser.ts";

// Each holds semicolons that end no statement.
const tricky = [
  "insert into t values ('a; b', 'ü;')",
  "create function f() returns int language plpgsql as $body$ begin perform 1; return 2; end; $body$",
  "create function g() returns int language sql begin atomic select 1; select 2; end",
  "create rule r as on insert to t do also (delete from u; delete from v)",
  'create table "x;y" (a int /* ; -- ; */)',
  "select /* one; -- two;\n */ 1",
  "select E'\\';' || U&'d\\0061t;a'",
  "select $$;$$, $q$ $$ ; $q$",
];

/** About as long as wanted, in characters, with what it is made of. */
function longText(length: number): { readonly text: string; readonly statements: readonly string[] } {
  const statements: string[] = [];
  for (let made = 0; made < length;) {
    const one = tricky[statements.length % tricky.length] ?? "";
    // Uneven, so that parts end in the midst of everything.
    const padded = statements.length % 97 === 0 ? `${one.slice(0, -1)}${one.slice(-1)} ` : one;
    statements.push(padded.trimEnd());
    made += padded.length + 2;
  }
  return { text: `${statements.join(";\n")}\n;\n`, statements };
}

describe("a text that is parsed in parts", () => {
  test("holds the statements it is made of, each at its place", async () => {
    const parser = await loadParser();
    const { text, statements } = longText(4_000_000);
    const parsed = parser.parse(text);
    expect(parsed).toHaveLength(statements.length);
    expect(parsed.every(({ sql }, index) => sql === statements[index])).toBe(true);
    expect(parsed.every(({ sql, start, end }) => text.slice(start, end) === sql)).toBe(true);
  });

  test("holds one statement that is longer than a part, and what stands around it", async () => {
    const parser = await loadParser();
    const body = "perform 1; -- ;\n".repeat(200_000);
    const long = `create function f() returns void language plpgsql as $f$ begin ${body} end $f$`;
    const parsed = parser.parse(`select 1;\n${long};\nselect 2;`);
    expect(parsed.map(({ sql }) => sql.length)).toEqual([8, long.length, 8]);
  });

  test("tells a mistake near its end at its place", async () => {
    const parser = await loadParser();
    const { text } = longText(3_000_000);
    const wrong = `${text}create tabel x ();\nselect 1;`;
    let thrown: unknown;
    try {
      parser.parse(wrong);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SqlSyntaxError);
    const { index } = thrown as SqlSyntaxError;
    expect(wrong.slice(index, index + 5)).toBe("tabel");
    expect(new TextPlaces(wrong).at(index)).toEqual({ line: text.split("\n").length, column: 8 });
  });

  test("tells a string that is never closed by where it begins", async () => {
    const parser = await loadParser();
    const { text } = longText(2_000_000);
    const wrong = `${text}select 'open; ${"x;".repeat(800_000)}`;
    expect(() => parser.parse(wrong)).toThrow("unterminated quoted string");
  });
});

test("places count characters, forwards and back", () => {
  const places = new TextPlaces("a\nü😀x\n\ny");
  expect([0, 2, 3, 5, 7, 8].map((index) => places.at(index))).toEqual([
    { line: 1, column: 1 },
    { line: 2, column: 1 },
    { line: 2, column: 2 },
    { line: 2, column: 3 },
    { line: 3, column: 1 },
    { line: 4, column: 1 },
  ]);
  expect(places.at(2)).toEqual({ line: 2, column: 1 });
});
