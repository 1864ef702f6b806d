import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations, planRollback } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

describe.each([12, 13, 14, 15, 16, 17, 18])("on PostgreSQL %i", (version) => {
  test("plans, rehearses, applies in and outside a transaction, tells and undoes", async () => {
    await using cluster = await startCluster({ version });
    await using files = await makeWorkspace({
      "0001_a.sql":
        "-- migrate:up\ncreate type mood as enum ('calm');\ncreate table a (id int, m mood);\n-- migrate:down\ndrop table a;\ndrop type mood;\n",
      "0002_b.sql":
        "-- migrate:up\ncreate index concurrently a_id on a (id);\nalter type mood add value 'glad';\ninsert into a values (1, 'glad');\n" +
        "-- migrate:down\ndelete from a;\ndrop index concurrently a_id;\n",
    });
    const { directory } = files;
    const pool = cluster.createPool({ max: 2 });
    try {
      const plan = await planMigrations(pool, { directory });
      expect(plan.findings).toEqual([]);
      const rehearsal = await applyMigrations(pool, plan, { execute: "rollback" });
      expect(rehearsal.remaining).toEqual(["0002_b"]);
      await applyMigrations(pool, plan);
      expect(await migrationStatus(pool, { directory })).toMatchObject({ pending: 0, findings: [] });
      await applyMigrations(pool, await planRollback(pool, { directory, steps: 2, allowDataLoss: true }));
      expect(await migrationStatus(pool, { directory })).toMatchObject({ applied: 0, pending: 2 });
    } finally {
      await pool.end();
    }
  });
});
