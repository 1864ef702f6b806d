import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  buildCatalog,
  detectDrift,
  formatCatalogDifferences,
  planBaseline,
  planMigrations,
  planRollback,
  readSnapshot,
  type ShadowDatabase,
  verifyMigrations,
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
  "0001_t.sql": "-- migrate:up\ncreate table t (id int primary key);\n-- migrate:down\ndrop table t;\n",
  "0002_a.sql":
    "-- migrate:up\nalter table t add a int not null default 1;\n-- migrate:verify\n" +
    "select count(*) = 0 from t where a < 1;\n-- migrate:down\nalter table t drop a;\n",
};

describe("detectDrift", () => {
  test("tells what was changed by hand since the last run, object by object", async () => {
    await using workspace = await makeWorkspace(files);
    await using shadow = await createDatabase();
    const { db } = shadow;
    await applyMigrations(db, await planMigrations(db, { directory: workspace.directory }));
    expect(await detectDrift(db)).toMatchObject({
      drifted: false,
      differences: [],
      expected: { source: "snapshot", migration: "0002_a" },
    });
    await db.query(
      "alter table t alter a drop not null; create index by_hand on t (a); create schema audit; create table audit.log ()",
    );
    const report = await detectDrift(db, { ignore: ["audit.*"] });
    expect(formatCatalogDifferences(report.differences)).toBe(
      [
        "~ column public.t.a  int4 not null default 1 → int4 default 1",
        "+ index by_hand on public.t  CREATE INDEX by_hand ON public.t USING btree (a)",
      ].join("\n"),
    );
    expect(report).toMatchObject({ drifted: true, ignored: 2 });
    expect(report.findings.map(({ id, severity }) => [id, severity])).toEqual([
      ["MIGRATE-DRIFT", "critical"],
      ["MIGRATE-DRIFT", "critical"],
    ]);
  });

  test("keeps a snapshot per version, downs and baselines included", async () => {
    await using workspace = await makeWorkspace(files);
    await using shadow = await createDatabase();
    const { db } = shadow;
    const { directory } = workspace;
    await applyMigrations(db, await planMigrations(db, { directory }));
    await applyMigrations(db, await planRollback(db, { directory }));
    const client = await db.connect();
    const newest = await readSnapshot(client, {});
    expect(newest).toMatchObject({ migration: "0001_t" });
    expect(newest?.catalog.tables[0]?.columns.map(({ name }) => name)).toEqual(["id"]);
    expect((await readSnapshot(client, { migration: "0002_a" }))?.catalog.tables[0]?.columns).toHaveLength(2);
    client.release();
    expect((await detectDrift(db)).drifted).toBe(false);

    await using other = await createDatabase();
    await other.db.query("create table t (id int primary key)");
    await applyMigrations(other.db, await planBaseline(other.db, { directory, to: "0001_t" }));
    expect(await detectDrift(other.db)).toMatchObject({ drifted: false, expected: { migration: "0001_t" } });
  });

  test("holds a database against what the folder makes in a shadow database", async () => {
    await using workspace = await makeWorkspace(files);
    await using live = await createDatabase();
    const { directory } = workspace;
    await live.db.query("create table t (id int primary key, a bigint not null default 1)");
    const expected = await buildCatalog({ directory, createDatabase });
    const report = await detectDrift(live.db, { expected });
    expect(formatCatalogDifferences(report.differences)).toBe(
      "~ column public.t.a  int4 not null default 1 → int8 not null default 1",
    );
    expect(
      (await detectDrift(live.db, { expected: await buildCatalog({ directory, to: "0001_t", createDatabase }) }))
        .differences,
    ).toMatchObject([{ object: "column public.t.a", change: "added" }]);
  });

  test("says what to do when there is nothing to compare with", async () => {
    await using shadow = await createDatabase();
    await expect(detectDrift(shadow.db)).rejects.toMatchObject({ code: "MIGRATE_NO_SNAPSHOT" });
  });
});

describe("verifyMigrations", () => {
  test("runs verify sections again and tells where one no longer holds", async () => {
    await using workspace = await makeWorkspace(files);
    await using shadow = await createDatabase();
    const { db } = shadow;
    const { directory } = workspace;
    await applyMigrations(db, await planMigrations(db, { directory }));
    expect(await verifyMigrations(db, { directory })).toMatchObject({ holding: 1, failing: 0, withoutVerify: 1 });
    await db.query("insert into t values (1, 0)");
    expect(await verifyMigrations(db, { directory })).toMatchObject({
      failing: 1,
      migrations: [{}, { migration: "0002_a", outcome: "fails", line: 4, message: "the query answered false" }],
      findings: [{ id: "MIGRATE-VERIFY", severity: "critical" }],
    });
    await db.query("alter table t drop column a");
    expect((await verifyMigrations(db, { directory })).migrations[1]?.message).toContain('column "a" does not exist');
  });

  test("lets a verify section change nothing", async () => {
    await using workspace = await makeWorkspace({
      "0001_t.sql": "-- migrate:up\ncreate table t (id int);\n-- migrate:verify\nselect 1;\n",
    });
    await using shadow = await createDatabase();
    const { db } = shadow;
    await applyMigrations(db, await planMigrations(db, { directory: workspace.directory }));
    await workspace.write({
      "0001_t.sql": "-- migrate:up\ncreate table t (id int);\n-- migrate:verify\ninsert into t values (1);\n",
    });
    const report = await verifyMigrations(db, { directory: workspace.directory });
    expect(report.migrations[0]).toMatchObject({
      outcome: "fails",
      message: expect.stringContaining("read-only") as string,
    });
    expect((await db.query("select * from t")).rows).toEqual([]);
  });
});
