import { describe, expect, test } from "vitest";
import { makeWorkspace } from "../test/workspace.ts";
import { MigrationFilesError, MigrationFolderError } from "./errors.ts";
import type { FileProblem } from "./file-problem.ts";
import { readMigrationFolder } from "./folder.ts";

async function problemsOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<readonly FileProblem[]> {
  await using workspace = await makeWorkspace(files);
  const error = await readMigrationFolder(workspace.directory).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MigrationFilesError);
  return (error as MigrationFilesError).problems;
}

describe("readMigrationFolder", () => {
  test("orders by number, whatever the width, and repeatables last", async () => {
    await using workspace = await makeWorkspace({
      "10_c.sql": "select 1",
      "2_b.sql": "select 1",
      "0001_a.sql": "select 1",
      "R__view.sql": "select 1",
      "20261121093000_d.sql": "select 1",
      "notes.md": "not SQL",
    });
    const { migrations, format } = await readMigrationFolder(workspace.directory);
    expect(format).toBe("sql");
    expect(migrations.map(({ id, version, name }) => [id, version, name])).toEqual([
      ["0001_a", "0001", "a"],
      ["2_b", "2", "b"],
      ["10_c", "10", "c"],
      ["20261121093000_d", "20261121093000", "d"],
      ["R__view", "R", "view"],
    ]);
  });

  test("reads up, down and verify sections with their settings, and a down file beside", async () => {
    await using workspace = await makeWorkspace({
      "1_a.sql":
        "-- what it is for\n-- migrate:up transaction=false lock_timeout=3s retries=7 tags=online,big depends=0_z\nselect 1;\n" +
        "-- migrate:verify\nselect true;\n-- migrate:down lock_timeout=off\nselect 2;\n",
      "2_b.up.sql": "select 3;",
      "2_b.down.sql": "select 4;",
    });
    const { migrations } = await readMigrationFolder(workspace.directory);
    expect(migrations[0]?.up.settings).toEqual({
      transaction: "never",
      lockTimeoutMs: 3_000,
      retries: 7,
      tags: ["online", "big"],
      depends: ["0_z"],
    });
    expect(migrations[0]?.up.pieces.map(({ sql }) => sql)).toEqual(["select 1;\n"]);
    expect(migrations[0]?.verify?.pieces.map(({ sql }) => sql)).toEqual(["select true;\n"]);
    expect(migrations[0]?.down?.settings.lockTimeoutMs).toBeNull();
    expect(migrations[1]).toMatchObject({ id: "2_b", down: { pieces: [{ sql: "select 4;" }] } });
  });

  test("gives the same checksum whatever the line ends, the byte order mark and the down section", async () => {
    const up = "-- migrate:up\ncreate table a (\n  id int\n);\n";
    await using plain = await makeWorkspace({ "1_a.sql": up });
    await using windows = await makeWorkspace({
      "1_a.sql": `\uFEFF${up.replaceAll("\n", "  \r\n")}-- migrate:down\r\ndrop table a;\r\n`,
    });
    await using edited = await makeWorkspace({ "1_a.sql": up.replace("int", "bigint") });
    const checksum = async (directory: string): Promise<string | undefined> =>
      (await readMigrationFolder(directory)).migrations[0]?.checksum;
    expect(await checksum(windows.directory)).toBe(await checksum(plain.directory));
    expect(await checksum(edited.directory)).not.toBe(await checksum(plain.directory));
  });

  test("reports every problem of every file at once, each with its place and its way out", async () => {
    const problems = await problemsOf({
      "1_a.sql": "select 1;\n-- migrate:dwon\n",
      "2_b.sql": "-- migrate:up transacton=false\n",
      "3_c.sql": "-- migrate:up\n  -- migrate:allow drop-column\n",
      "4_d.sql": new Uint8Array([0xff, 0xfe, 0x73, 0x00]),
      "4_e.sql": "select 1;",
      "04_f.sql": "select 1;",
      "5_g.ts": "export {};",
      "init.sql": "select 1;",
    });
    expect(problems.map(({ code, file, line, message }) => [code, file, line, message])).toEqual([
      ["MIGRATE-DIRECTIVE", "1_a.sql", 2, 'unknown directive "migrate:dwon"; did you mean "down"?'],
      ["MIGRATE-DIRECTIVE", "2_b.sql", 1, 'unknown setting "transacton"; did you mean "transaction"?'],
      ["MIGRATE-DIRECTIVE", "3_c.sql", 2, 'expected a rule and a reason: migrate:allow drop-column reason="…"'],
      ["MIGRATE-ENCODING", "4_d.sql", null, "the file is UTF-16"],
      ["MIGRATE-DUPLICATE", "4_e.sql", null, "version 4 is also that of 04_f.sql"],
      ["MIGRATE-FILE-NAME", "init.sql", null, "the name has no version before it"],
    ]);
    expect(problems.every(({ hint }) => hint !== "")).toBe(true);
  });

  test("names a journal entry without a file and a journal of another database", async () => {
    const journal = (dialect: string): string =>
      JSON.stringify({ version: "7", dialect, entries: [{ idx: 0, when: 1, tag: "0000_gone" }] });
    expect(await problemsOf({ "meta/_journal.json": journal("postgresql") })).toMatchObject([
      { code: "MIGRATE-JOURNAL", message: "entry 0000_gone has no file 0000_gone.sql" },
    ]);
    expect(await problemsOf({ "meta/_journal.json": journal("mysql") })).toMatchObject([
      { code: "MIGRATE-JOURNAL", message: "the journal is for mysql, not PostgreSQL" },
    ]);
    expect(await problemsOf({ "meta/_journal.json": "{" })).toMatchObject([{ code: "MIGRATE-JOURNAL" }]);
  });

  test("says which folder cannot be read", async () => {
    await expect(readMigrationFolder("/nowhere/migrations")).rejects.toBeInstanceOf(MigrationFolderError);
  });
});
