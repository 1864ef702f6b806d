import { describe, expect, test } from "vitest";
import { makeWorkspace } from "../test/workspace.ts";
import { lintMigrations } from "./linting.ts";

describe("lintMigrations without a database", () => {
  test("replays the folder: what earlier files made is there for later ones", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int, v varchar(10)); create index on a (id);",
      "0002_b.sql": "alter table a alter column v type varchar(20);",
      "0003_c.sql": "create index on a (v);\nalter table a alter column id type bigint;",
    });
    const report = await lintMigrations({ directory: files.directory });
    expect(report).toMatchObject({ files: 3, statements: 5, problems: [] });
    // How many rows a table has got since it was made is not known: it may be many.
    expect(report.findings.map(({ file, line, rule, severity }) => [file, line, rule, severity])).toEqual([
      ["0003_c.sql", 2, "change-type-rewrite", "critical"],
      ["0003_c.sql", 1, "index-not-concurrent", "critical"],
    ]);
  });

  test("goes on past files that cannot be parsed", async () => {
    await using files = await makeWorkspace({ "0001_a.sql": "create tabel a ();", "0002_b.sql": "truncate b;" });
    const report = await lintMigrations({ directory: files.directory });
    expect(report.problems.map(({ code }) => code)).toEqual(["MIGRATE-SYNTAX"]);
    expect(report.findings.map(({ rule }) => rule)).toEqual(["truncate"]);
  });

  test("judges only the migrations asked for, after all that stand before them", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int);",
      "0002_b.sql": "drop table a;",
    });
    const report = await lintMigrations({ directory: files.directory, only: ["0002_b"] });
    expect(report).toMatchObject({ files: 1, statements: 1 });
    expect(report.findings.map(({ rule }) => rule)).toEqual(["drop-object"]);
  });
});
