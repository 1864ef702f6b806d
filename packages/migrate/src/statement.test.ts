import { describe, expect, test } from "vitest";
import type { FileProblem } from "./file-problem.ts";
import { readSections } from "./migration-file.ts";
import { loadParser } from "./parser.ts";
import { type MigrationStatement, parseSection, transactionNeed } from "./statement.ts";

async function parse(text: string): Promise<{ statements: MigrationStatement[]; problems: FileProblem[] }> {
  const problems: FileProblem[] = [];
  const statements = parseSection(await loadParser(), readSections("1_a.sql", text).up, problems);
  return { statements, problems };
}

describe("parseSection", () => {
  test("splits by the parser: semicolons in strings, comments and bodies do not count", async () => {
    const { statements } = await parse(`-- migrate:up
insert into t values ('a;b', $x$;$x$); /* ; */ select 1;

create function f() returns int language plpgsql as $$
begin
  perform 1;
  return 2;
end $$;
create procedure p() begin atomic select 1; select 2; end;
`);
    expect(statements.map(({ kind, line, column }) => [kind, line, column])).toEqual([
      ["INSERT", 2, 1],
      ["SELECT", 2, 48],
      ["CREATE FUNCTION", 4, 1],
      ["CREATE PROCEDURE", 9, 1],
    ]);
    expect(statements[0]?.sql).toBe("insert into t values ('a;b', $x$;$x$)");
  });

  test("keeps places right after characters of several bytes", async () => {
    const { statements } = await parse("select 'é𝄞';\n-- é\nselect 'ü', 2;");
    expect(statements.map(({ sql, line, column }) => [sql, line, column])).toEqual([
      ["select 'é𝄞'", 1, 1],
      ["select 'ü', 2", 3, 1],
    ]);
  });

  test("shows a syntax error with its line, column and a caret", async () => {
    const { problems } = await parse("-- migrate:up\nselect 'é';\n  create tabel x ();\n");
    expect(problems).toEqual([
      {
        code: "MIGRATE-SYNTAX",
        file: "1_a.sql",
        line: 3,
        column: 10,
        message: 'syntax error at or near "tabel"',
        excerpt: "3 |   create tabel x ();\n             ^",
        hint: "Correct the SQL; the parser is PostgreSQL 18's own.",
      },
    ]);
  });

  test("refuses what a migration cannot hold", async () => {
    const { problems } = await parse("begin;\nselect 1;\ncommit;\nsavepoint a;\ncopy t from stdin;\n\\connect x");
    expect(problems.map(({ code, line }) => [code, line])).toEqual([["MIGRATE-SYNTAX", 6]]);
    const second = await parse("begin;\nselect 1;\ncommit;\nsavepoint a;\ncopy t from stdin;");
    expect(second.problems.map(({ code, line, message }) => [code, line, message])).toEqual([
      ["MIGRATE-STATEMENT", 1, "a migration must not begin or end a transaction"],
      ["MIGRATE-STATEMENT", 3, "a migration must not begin or end a transaction"],
      ["MIGRATE-STATEMENT", 5, "COPY from or to the client cannot run in a migration"],
    ]);
  });
});

describe("transactionNeed", () => {
  test.each([
    ["create index concurrently i on t (a)", "outside"],
    ["drop index concurrently i", "outside"],
    ["reindex (concurrently) table t", "outside"],
    ["reindex table t", "inside"],
    ["reindex schema public", "outside"],
    ["vacuum t", "outside"],
    ["analyze t", "inside"],
    ["cluster", "outside"],
    ["cluster t", "inside"],
    ["alter system set work_mem = '1MB'", "outside"],
    ["create database d", "outside"],
    ["alter table t detach partition p concurrently", "outside"],
    ["alter table t detach partition p", "inside"],
    ["alter type e add value 'x'", "inside"],
    ["call p()", "own"],
    ["do $$ begin end $$", "own"],
  ])("%s runs %s", async (sql, need) => {
    const [statement] = (await loadParser()).parse(sql);
    expect(statement && transactionNeed(statement.node)).toBe(need);
  });

  test("a value added to an enum cannot be in a transaction before PostgreSQL 12", async () => {
    const [statement] = (await loadParser()).parse("alter type e add value 'x'");
    expect(statement && transactionNeed(statement.node, 110_000)).toBe("outside");
  });
});
