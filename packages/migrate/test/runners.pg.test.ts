import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations } from "../src/index.ts";
import { checkOnce, concurrentFiles, runEight } from "./eight-runners.ts";
import { hasPgbouncer, startPgbouncer } from "./pgbouncer.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

describe("eight runners at once, with CONCURRENTLY in the plan", () => {
  test("apply once and without a deadlock, directly", async () => {
    await using workspace = await makeWorkspace(concurrentFiles);
    const { url } = await cluster.createDatabase();
    await checkOnce(url, await runEight(url, workspace), workspace);
  });

  for (const mode of ["session", "transaction"] as const) {
    test.skipIf(!hasPgbouncer)(`apply once and without a deadlock, through PgBouncer in ${mode} mode`, async () => {
      await using workspace = await makeWorkspace(concurrentFiles);
      const { url } = await cluster.createDatabase();
      await using pooler = await startPgbouncer(url, mode);
      const direct = runEight(url, workspace);
      const runs = [...(await runEight(pooler.url, workspace)), ...(await direct)];
      await checkOnce(url, runs, workspace);
    });
  }
});

describe("behind PgBouncer in transaction mode", () => {
  test.skipIf(!hasPgbouncer)("a runner that lost its lease writes nothing more", async () => {
    await using workspace = await makeWorkspace({
      "0001_a.sql": "create table a ();",
      "0002_b.sql": "create table b ();",
    });
    const { url } = await cluster.createDatabase();
    await using pooler = await startPgbouncer(url, "transaction");
    const { directory } = workspace;
    const client = new Client({ connectionString: pooler.url });
    const other = new Client({ connectionString: url });
    await client.connect();
    await other.connect();
    try {
      const plan = await planMigrations(client, { directory });
      const lost = applyMigrations(client, plan, {
        onEvent: () => undefined,
        beforeApply: async () => {
          const held = await migrationStatus(other, { directory });
          expect(held.runner).toMatchObject({ pid: null });
          await other.query("update db_migrate.history_lease set token = 'somebody else'");
        },
      });
      await expect(lost).rejects.toMatchObject({ code: "MIGRATE_LEASE_LOST" });
      expect((await other.query("select to_regclass('a') as a")).rows).toEqual([{ a: null }]);
    } finally {
      await client.end();
      await other.end();
    }
  });
});
