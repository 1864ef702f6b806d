import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  applyMigrations,
  applyRepair,
  migrationStatus,
  planMigrations,
  planRepair,
  planRollback,
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

const five = {
  "0001_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;",
  "0002_b.sql": "-- migrate:up\ncreate table b ();\n-- migrate:down\ndrop table b;",
  "0003_c.sql": "-- migrate:up\ncreate table c ();\n-- migrate:down\ndrop table c;",
  "0004_d.sql": "-- migrate:up transaction=false\ncreate table d ();\n-- migrate:down\ndrop table d;",
  "R__v.sql": "create or replace view v as select 1 as one;",
};

test.for<[string, string, string]>([
  ["deleted", "delete from db_migrate.history where id = '0002_b'", "0003_c stands after 0001_a"],
  [
    "inserted",
    `insert into db_migrate.history
     select (jsonb_populate_record(h, '{"id": "0002_x", "checksum": "x", "sequence": 2}')).*
       from db_migrate.history h where id = '0001_a'`,
    "stands after",
  ],
  [
    "reordered",
    "update db_migrate.history set sequence = 5 - sequence where kind = 'versioned'",
    "0004_d stands first",
  ],
  ["edited", "update db_migrate.history set checksum = repeat('0', 64) where id = '0003_c'", "0003_c stands after"],
])("tells of a row of the history that was %s by hand, and blocks", async ([, sql, title]) => {
  await using files = await makeWorkspace(five);
  await using pool = await freshPool();
  const { directory } = files;
  await applyMigrations(pool, await planMigrations(pool, { directory }));
  expect((await migrationStatus(pool, { directory })).findings).toEqual([]);
  await pool.query(sql);
  await files.write({ "0009_next.sql": "create table next ();" });
  const plan = await planMigrations(pool, { directory, outOfOrder: "allow", changed: "allow", missing: "allow" });
  const found = plan.findings.find(({ id }) => id === "MIGRATE-CHAIN");
  expect(found).toMatchObject({ severity: "critical", blocks: true });
  expect(found?.title).toContain(title);
  await expect(applyMigrations(pool, plan)).rejects.toMatchObject({ code: "MIGRATE_REFUSED" });
  const allowed = await planMigrations(pool, {
    directory,
    outOfOrder: "allow",
    changed: "allow",
    tampered: "allow",
  });
  expect(allowed.findings.filter(({ id }) => id === "MIGRATE-CHAIN")).toEqual([]);

  const repair = await planRepair(pool, { directory });
  expect(repair.actions.find(({ id }) => id === "relink")).toMatchObject({ safe: false });
  expect((await applyRepair(pool, repair, { chosen: ["relink"] })).done).toEqual(["relink"]);
  const after = await migrationStatus(pool, { directory });
  expect(after.findings.filter(({ id }) => id === "MIGRATE-CHAIN")).toEqual([]);
});

test("keeps the order applied where steps and transactions take turns", async () => {
  await using files = await makeWorkspace({
    "0001_a.sql": "create table a (id int);",
    "0002_b.sql": "create index concurrently a_id on a (id);",
    "0003_c.sql": "create table c ();",
    "0004_d.sql": "drop index concurrently a_id;",
    "0005_e.sql": "create table e ();",
    "0006_f.sql": "create table f ();",
    "0007_g.sql": "create table g ();",
    "0008_h.sql": "vacuum a;",
    "0009_i.sql": "create table i ();",
  });
  await using pool = await freshPool();
  await applyMigrations(pool, await planMigrations(pool, { directory: files.directory }));
  const { rows } = await pool.query("select id, sequence from db_migrate.history order by id");
  expect(rows.map(({ sequence }) => sequence as number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("tells of the last row deleted by hand, which would run once more", async () => {
  await using files = await makeWorkspace(five);
  await using pool = await freshPool();
  const { directory } = files;
  await applyMigrations(pool, await planMigrations(pool, { directory }));
  await pool.query("delete from db_migrate.history where id = '0004_d'");
  const plan = await planMigrations(pool, { directory });
  expect(plan.findings.map(({ id, blocks, title }) => [id, blocks, title])).toContainEqual([
    "MIGRATE-CHAIN",
    true,
    "the row of 0004_d, applied last, was deleted by hand",
  ]);
  await pool.query("drop table d");
  const repair = await planRepair(pool, { directory });
  await applyRepair(pool, repair, { chosen: ["forget-lost:0004_d"] });
  await applyMigrations(pool, await planMigrations(pool, { directory }));
  expect((await migrationStatus(pool, { directory })).findings).toEqual([]);
});

test("holds through undoing, repeatables run again, a failure, an edit taken over and a migration forgotten", async () => {
  await using files = await makeWorkspace(five);
  await using pool = await freshPool();
  const { directory } = files;
  const up = async () => applyMigrations(pool, await planMigrations(pool, { directory }));
  const chain = async () =>
    (await migrationStatus(pool, { directory })).findings.filter(({ id }) => id === "MIGRATE-CHAIN");
  await up();
  await applyMigrations(pool, await planRollback(pool, { directory, steps: 2 }));
  expect(await chain()).toEqual([]);
  await files.write({ "R__v.sql": "create or replace view v as select 2 as one;" });
  await up();
  await files.write({ "0005_e.sql": "create table e ();\nselect 1 / 0;" });
  await expect(up()).rejects.toThrow("division by zero");
  expect(await chain()).toEqual([]);
  await files.write({ "0005_e.sql": "create table e ();", "R__v.sql": "create or replace view v as select 3 as one;" });
  await up();
  await files.write({ "0002_b.sql": "create table b (); -- edited" });
  await files.remove("0003_c.sql");
  const repair = await planRepair(pool, { directory });
  await applyRepair(pool, repair, { chosen: ["accept-change:0002_b", "forget-missing:0003_c"] });
  expect(await chain()).toEqual([]);
  await files.remove("0005_e.sql");
  await applyRepair(pool, await planRepair(pool, { directory }), { chosen: ["forget-missing:0005_e"] });
  await files.write({ "0006_f.sql": "create table f ();" });
  expect(await chain()).toEqual([]);
  await up();
  expect((await migrationStatus(pool, { directory })).findings.filter(({ severity }) => severity !== "info")).toEqual(
    [],
  );
});
