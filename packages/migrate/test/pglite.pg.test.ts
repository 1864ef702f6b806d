import { PGlite } from "@electric-sql/pglite";
import { describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations, planRollback } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

describe("PGlite", () => {
  test("is planned, migrated, told of and undone like a server", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql":
        "-- migrate:up\ncreate table a (id int);\ninsert into a values (1), (2);\n-- migrate:down\ndrop table a;\n",
      "0002_b.sql": "-- migrate:up\nalter table a add column b text;\n-- migrate:down\nalter table a drop column b;\n",
    });
    await using db = await PGlite.create();
    const { directory } = files;
    const report = await applyMigrations(db, await planMigrations(db, { directory }));
    expect(report.applied.map(({ id, statements }) => [id, statements.map(({ rows }) => rows)])).toEqual([
      ["0001_a", [0, 2]],
      ["0002_b", [0]],
    ]);
    await applyMigrations(db, await planRollback(db, { directory, allowDataLoss: true }));
    const status = await migrationStatus(db, { directory });
    expect(status.migrations.map(({ state }) => state)).toEqual(["applied", "reverted"]);
  });
});
