import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { makeWorkspace } from "../test/workspace.ts";
import { createMigrationFile } from "./migration-template.ts";

const clock = { now: () => Date.UTC(2026, 10, 21, 9, 30), sleep: () => Promise.resolve() };

describe("createMigrationFile", () => {
  test("stamps the time in an empty folder and counts on where the folder counts", async () => {
    await using workspace = await makeWorkspace();
    const { directory } = workspace;
    const first = await createMigrationFile({ directory, name: "Add e-mail to Users", clock });
    expect(first.id).toBe("20261121093000_add_e_mail_to_users");
    expect(await readFile(first.file, "utf8")).toContain("-- migrate:down");
    const second = await createMigrationFile({ directory, name: "again", clock });
    expect(second.id).toBe("20261121093001_again");

    await using counted = await makeWorkspace({ "0008_a.sql": "", "0009_b.sql": "" });
    const third = await createMigrationFile({ directory: counted.directory, name: "c", clock });
    expect(third.id).toBe("0010_c");
  });

  test("writes nothing on a dry run", async () => {
    await using workspace = await makeWorkspace();
    const { directory } = workspace;
    const plan = await createMigrationFile({ directory, name: "a", clock, dryRun: true });
    expect(plan.written).toBe(false);
    await expect(readFile(plan.file)).rejects.toThrow("ENOENT");
  });

  test("leaves a folder that drizzle-kit numbers to drizzle-kit", async () => {
    await using workspace = await makeWorkspace({ "meta/_journal.json": "{}" });
    await expect(createMigrationFile({ directory: workspace.directory, name: "a" })).rejects.toThrow("drizzle-kit");
  });
});
