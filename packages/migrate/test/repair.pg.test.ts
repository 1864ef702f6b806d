import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  applyRepair,
  migrationStatus,
  planBaseline,
  planMigrations,
  planRepair,
} from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = () => freshPoolOn(cluster);

describe("planRepair", () => {
  test("offers what can be put right, does only what is safe or chosen, and nothing that moved", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int);",
      "0002_b.sql": "create table b ();",
      "0003_c.sql": "create table c ();",
      "0004_d.sql": "create table d ();",
      "0005_bad.sql": "create table a ();",
    });
    await using pool = await freshPool();
    const { directory } = files;
    await expect(applyMigrations(pool, await planMigrations(pool, { directory }))).rejects.toThrow("already exists");
    await files.write({ "0001_a.sql": "create table a (id int, more int);" });
    await files.remove("0002_b.sql");
    await files.remove("0003_c.sql");
    await files.write({ "0003_renamed.sql": "create table c ();" });
    await pool.query("create index a_id on a (id)");
    await pool.query("update pg_index set indisvalid = false where indexrelid = 'a_id'::regclass");
    const plan = await planRepair(pool, { directory });
    expect(plan.actions.map(({ id, safe }) => [id, safe])).toEqual([
      ["accept-change:0001_a", false],
      ["rename:0003_renamed", true],
      ["clear-failed:0005_bad", true],
      ["forget-missing:0002_b", false],
      ["drop-invalid-index:public.a_id", true],
    ]);
    await expect(applyRepair(pool, plan, { chosen: ["accept-change:9"] })).rejects.toThrow("no action accept-change:9");
    const report = await applyRepair(pool, plan);
    expect(report.done).toEqual(["rename:0003_renamed", "clear-failed:0005_bad", "drop-invalid-index:public.a_id"]);
    expect((await pool.query("select to_regclass('a_id') as i")).rows).toEqual([{ i: null }]);
    const chosen = ["accept-change:0001_a", "forget-missing:0002_b"];
    await applyRepair(pool, plan, { chosen });
    await expect(applyRepair(pool, plan, { chosen })).rejects.toMatchObject({ code: "MIGRATE_STALE_PLAN" });
    const status = await migrationStatus(pool, { directory });
    expect(status.migrations.map(({ id, state }) => [id, state])).toEqual([
      ["0001_a", "applied"],
      ["0003_renamed", "applied"],
      ["0004_d", "applied"],
      ["0005_bad", "pending"],
    ]);
    expect((await planRepair(pool, { directory })).actions).toEqual([]);
  });
});

describe("planBaseline with a shadow database", () => {
  test("is blocked by every object that is not as the migrations make it, and passes once it is", async () => {
    await using files = await makeWorkspace({
      "0001_a.sql": "create table a (id int primary key, name text not null);",
      "0002_b.sql": "create index a_name on a (name);",
      "0003_later.sql": "create table later ();",
    });
    await using pool = await freshPool();
    const { directory } = files;
    await pool.query("create table a (id int primary key, name text)");
    const createDatabase = async () => {
      const db = await freshPool();
      return { db, drop: async () => db[Symbol.asyncDispose]() };
    };
    const wrong = await planBaseline(pool, { directory, to: "2", createDatabase });
    expect(wrong.blocked).toBe(true);
    expect(wrong.findings.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(["column public.a.name", "index a_name on public.a"]) as string[],
    );
    await expect(applyMigrations(pool, wrong)).rejects.toMatchObject({ code: "MIGRATE_REFUSED" });
    await pool.query("alter table a alter column name set not null; create index a_name on a (name)");
    const right = await planBaseline(pool, { directory, to: "2", createDatabase });
    expect(right).toMatchObject({ blocked: false, findings: [] });
    await applyMigrations(pool, right);
    expect((await planMigrations(pool, { directory })).migrations.map(({ id }) => id)).toEqual(["0003_later"]);
  });
});
