import { readdir } from "node:fs/promises";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  applyMigrations,
  detectDrift,
  migrationStatus,
  planMigrations,
  planSquash,
  type ShadowDatabase,
  writeSquash,
} from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

async function createDatabase(): Promise<ShadowDatabase & { readonly db: Pool } & AsyncDisposable> {
  const { url } = await cluster.createDatabase();
  const db = new Pool({ connectionString: url, max: 1 });
  return { db, drop: () => db.end(), [Symbol.asyncDispose]: () => db.end() };
}

const files = {
  "0001_a.sql":
    "create type mood as enum ('calm');\ncreate table a (id int primary key, m mood);\ncreate table scratch (id int);",
  "0002_b.sql": "create index concurrently a_m on a (m);\ninsert into scratch select 1;",
  "0003_c.sql": "alter type mood add value 'glad';",
  "0004_d.sql": "insert into a values (1, 'glad');\ndrop table scratch;\nalter table a add b text default 'x' -- why\n",
  "0005_e.sql": "create table e ();",
};

test("makes one file of many that leaves the same catalog and rows, without what was dropped again", async () => {
  await using workspace = await makeWorkspace(files);
  const { directory } = workspace;
  const plan = await planSquash({ directory, to: "0004", createDatabase });
  expect(plan).toMatchObject({ id: "0004_squashed", statements: 6, leftOut: 3 });
  expect(plan.content).not.toMatch(/scratch|concurrently/);
  await using old = await createDatabase();
  await applyMigrations(old.db, await planMigrations(old.db, { directory, to: "0004" }));
  await using half = await createDatabase();
  await applyMigrations(half.db, await planMigrations(half.db, { directory, to: "0002" }));
  await writeSquash(plan);
  expect((await readdir(directory)).toSorted()).toEqual(["0004_squashed.sql", "0005_e.sql"]);

  await using fresh = await createDatabase();
  await applyMigrations(fresh.db, await planMigrations(fresh.db, { directory }));
  expect((await fresh.db.query("select * from a")).rows).toEqual([{ id: 1, m: "glad", b: "x" }]);

  // A database that ran the old files knows the new one, and goes on.
  const next = await planMigrations(old.db, { directory });
  expect(next).toMatchObject({
    findings: [],
    adopt: [{ id: "0004_squashed", source: "baseline" }],
    migrations: [{ id: "0005_e" }],
  });
  await applyMigrations(old.db, next);
  expect(await migrationStatus(old.db, { directory })).toMatchObject({ pending: 0, findings: [] });
  expect((await detectDrift(fresh.db)).fingerprint).toBe((await detectDrift(old.db)).fingerprint);

  // One in the middle is told to finish first.
  const middle = await planMigrations(half.db, { directory });
  expect(middle.findings.filter(({ rule }) => rule === null)).toMatchObject([
    { id: "MIGRATE-SQUASH-PARTIAL", blocks: true, title: expect.stringContaining("0003_c") as string },
  ]);
});

test("keeps every statement when leaving some out does not make the same", async () => {
  await using workspace = await makeWorkspace({
    "0001_a.sql":
      "create table made (id int);\ncreate function f() returns bigint language sql as 'select count(*) from made';",
    "0002_b.sql": "drop table made;",
  });
  const plan = await planSquash({ directory: workspace.directory, to: "0002", createDatabase });
  expect(plan).toMatchObject({ statements: 3, leftOut: 0 });
});

test("refuses what it cannot prove, and writes nothing", async () => {
  await using workspace = await makeWorkspace({
    "0001_a.sql": "create table a ();",
    // One catalog in the first database, another in every later one.
    "0002_b.sql": "do $$ begin execute format('create table t_%s ()', (random() * 1000000)::int); end $$;",
  });
  const { directory } = workspace;
  await expect(planSquash({ directory, to: "0002", createDatabase })).rejects.toMatchObject({
    code: "MIGRATE_SQUASH_UNEQUAL",
  });
  await expect(planSquash({ directory, to: "0001", createDatabase })).rejects.toMatchObject({
    code: "MIGRATE_OPTIONS",
  });
  expect(await readdir(directory)).toHaveLength(2);
});

test("cut short, the folder names the old files still there, and is whole again once they are gone", async () => {
  await using workspace = await makeWorkspace(files);
  const { directory } = workspace;
  const plan = await planSquash({ directory, to: "0004", createDatabase });
  await writeSquash(plan);
  // As a kill before the second and third removal leaves it.
  await workspace.write({
    "0002_b.sql": files["0002_b.sql"],
    "0004_d.sql": files["0004_d.sql"],
    ".0004_squashed.sql.part": "-- sq",
  });
  await using old = await createDatabase();
  const refused = planMigrations(old.db, { directory });
  await expect(refused).rejects.toMatchObject({
    problems: [
      { code: "MIGRATE-DUPLICATE", file: "0002_b.sql", message: "0004_squashed.sql stands for it" },
      { code: "MIGRATE-DUPLICATE", file: "0004_d.sql", message: "0004_squashed.sql stands for it" },
    ],
  });
  await workspace.remove("0002_b.sql");
  await workspace.remove("0004_d.sql");
  expect((await planMigrations(old.db, { directory })).migrations.map(({ id }) => id)).toEqual([
    "0004_squashed",
    "0005_e",
  ]);
});
