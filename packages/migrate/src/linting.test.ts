import { describe, expect, test } from "vitest";
import { makeWorkspace } from "../test/workspace.ts";
import { lintMigrations } from "./linting.ts";

const byText = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);

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

  test("judges what a DO block runs unless it is there already, and says so where it cannot", async () => {
    const guarded = (sql: string, caught = "duplicate_object"): string =>
      `DO $$ BEGIN\n ${sql};\nEXCEPTION\n WHEN ${caught} THEN null;\nEND $$;\n`;
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int primary key); create table b (a_id int);",
      "0002_key.sql": guarded("ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a_id) REFERENCES a (id)"),
      "0003_type.sql": guarded("CREATE TYPE feeling AS ENUM ('calm')"),
      "0004_two.sql": guarded("ALTER TABLE b ADD COLUMN n int; ALTER TABLE b ALTER COLUMN n TYPE bigint"),
      "0005_query.sql": guarded("SELECT id INTO strict a FROM a"),
      "0006_other.sql": guarded("ALTER TABLE b ALTER COLUMN a_id TYPE bigint", "others"),
      "0007_variable.sql": "DO $$ DECLARE n int; BEGIN n := 1; EXCEPTION WHEN duplicate_object THEN null; END $$;",
    });
    const report = await lintMigrations({ directory: files.directory });
    expect(report.problems).toEqual([]);
    expect(report.findings.map(({ file, rule }) => [file, rule]).toSorted(byText)).toEqual([
      ["0002_key.sql", "add-fk-valid"],
      ["0004_two.sql", "opaque-sql"],
      ["0005_query.sql", "opaque-sql"],
      ["0006_other.sql", "opaque-sql"],
      ["0007_variable.sql", "opaque-sql"],
    ]);
  });

  test("tells of a dropped view only where it is gone, or away for a while", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int); create view v as select id from a; create view w as select id from a;",
      "0002_again.sql": "drop view v; create view v as select id, 1 as one from a;",
      "0003_away.sql": "-- migrate:up transaction=false\ndrop view v;\ncreate view v as select id from a;",
      "0004_other.sql": "drop view w; create view x as select id from a;",
      "0005_gone.sql": "drop view v; create view v as select id from a; drop view v;",
    });
    const report = await lintMigrations({ directory: files.directory });
    expect(report.findings.map(({ file, rule }) => [file, rule]).toSorted(byText)).toEqual([
      ["0003_away.sql", "drop-object"],
      ["0004_other.sql", "drop-object"],
      ["0005_gone.sql", "drop-object"],
    ]);
  });
});
