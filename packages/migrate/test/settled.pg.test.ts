import type { Database, Queryable } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

interface Asked extends AsyncDisposable {
  readonly db: Database;
  /** Every text sent since it was last emptied. */
  readonly texts: string[];
}

/** A database of its own that keeps what it was asked. */
async function askedDatabase(): Promise<Asked> {
  const { url } = await cluster.createDatabase();
  const client = new Client({ connectionString: url });
  await client.connect();
  const texts: string[] = [];
  const session: Queryable = {
    query: (text, values) => {
      texts.push(text);
      return client.query(text, values as unknown[]) as never;
    },
  };
  const db: Database = {
    ...session,
    withSession: (use) => use(session),
    withTransaction: () => Promise.reject(new Error("a plan begins no transaction")),
  };
  return { db, texts, [Symbol.asyncDispose]: () => client.end() };
}

const four = {
  "0001_a.sql": "-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n",
  "0002_b.sql": "create index concurrently a_id on a (id);",
  '0004_ünïcode "quoted" \\ name.sql': "-- migrate:up\ncreate table d ();\n",
  "R__b_view.sql": "create or replace view b as select 1 as one;",
  "R__a_view.sql": "create or replace view a_view as select 1 as one;",
};

/** The ways in which nothing pending stops being true, and what is told of each. */
const changes: readonly (readonly [
  string,
  { readonly files?: Record<string, string>; readonly sql?: string },
  string,
])[] = [
  ["a file edited", { files: { "0001_a.sql": "-- migrate:up\ncreate table a (id bigint);\n" } }, "MIGRATE-CHANGED"],
  [
    "a repeatable edited",
    { files: { "R__a_view.sql": "create or replace view a_view as select 2 as one;" } },
    "pending",
  ],
  ["a file added", { files: { "0005_e.sql": "create table e ();" } }, "pending"],
  ["a file added below the newest", { files: { "0003_c.sql": "create table c ();" } }, "MIGRATE-OUT-OF-ORDER"],
  ["a row in the middle deleted", { sql: "delete from db_migrate.history where id = '0001_a'" }, "MIGRATE-CHAIN"],
  ["the last row deleted", { sql: "delete from db_migrate.history where version = '0004'" }, "MIGRATE-CHAIN"],
  ["a repeatable's row deleted", { sql: "delete from db_migrate.history where id = 'R__a_view'" }, "pending"],
  [
    "a row more",
    {
      sql: `insert into db_migrate.history select (jsonb_populate_record(h, '{"id": "0009_x", "sequence": 9}')).*
            from db_migrate.history h where id = '0001_a'`,
    },
    "MIGRATE-MISSING",
  ],
  [
    "rows reordered",
    { sql: "update db_migrate.history set sequence = 9 - sequence where kind = 'versioned'" },
    "MIGRATE-CHAIN",
  ],
  [
    "a link edited",
    { sql: "update db_migrate.history set chain = repeat('0', 64) where id = '0002_b'" },
    "MIGRATE-CHAIN",
  ],
  ["a link taken away", { sql: "update db_migrate.history set chain = null where id = '0002_b'" }, "MIGRATE-CHAIN"],
  [
    "a checksum edited",
    { sql: "update db_migrate.history set checksum = repeat('0', 64) where id = '0001_a'" },
    "MIGRATE-CHANGED",
  ],
  ["a migration undone", { sql: "update db_migrate.history set state = 'reverted' where version = '0004'" }, "pending"],
  [
    "a migration failed",
    { sql: "update db_migrate.history set state = 'failed', error = 'no' where version = '0004'" },
    "MIGRATE-FAILED",
  ],
  [
    "a migration under way",
    { sql: "update db_migrate.history set state = 'running' where version = '0004'" },
    "MIGRATE-INTERRUPTED",
  ],
  ["a row renamed", { sql: "update db_migrate.history set id = '0001_z' where id = '0001_a'" }, "MIGRATE-RENAMED"],
];

describe("a history with everything applied", () => {
  test("is known by one hash: no row of it is read", async () => {
    await using files = await makeWorkspace(four);
    await using asked = await askedDatabase();
    const { directory } = files;
    await applyMigrations(asked.db, await planMigrations(asked.db, { directory }));
    const before = await migrationStatus(asked.db, { directory });
    asked.texts.length = 0;
    const plan = await planMigrations(asked.db, { directory });
    expect(asked.texts).toHaveLength(2);
    expect(asked.texts.join()).not.toContain("down_sql");
    expect(plan).toMatchObject({
      direction: "up",
      migrations: [],
      adopt: [],
      blocked: false,
      catalogFingerprint: null,
    });
    expect(plan.history).toMatchObject({ exists: true, drizzleSchema: null });
    expect(plan.history.known.map(({ id, state }) => [id, state])).toEqual(
      before.migrations.map(({ id }) => [id, "applied"]),
    );
    // What the folder alone gives to find is told as ever.
    expect(plan.findings).toEqual(before.findings);
    expect(plan.findings.map(({ id }) => id)).toEqual(["MIGRATE-GAP"]);
    asked.texts.length = 0;
    expect((await applyMigrations(asked.db, plan)).applied).toEqual([]);
    expect(asked.texts).toEqual([]);
    await expect(planMigrations(asked.db, { directory, to: "0007" })).rejects.toMatchObject({
      code: "MIGRATE_UNKNOWN_MIGRATION",
    });
  });

  test.for(changes)("is looked at row by row after %s", async ([, { files: edited, sql }, told]) => {
    await using files = await makeWorkspace(four);
    await using asked = await askedDatabase();
    const { directory } = files;
    await applyMigrations(asked.db, await planMigrations(asked.db, { directory }));
    if (edited) await files.write(edited);
    if (sql) await asked.db.query(sql);
    asked.texts.length = 0;
    const plan = await planMigrations(asked.db, { directory });
    expect(asked.texts.join()).toContain("down_sql");
    const found = [...plan.findings.map(({ id }) => id), ...(plan.migrations.length > 0 ? ["pending"] : [])];
    expect(found).toContain(told);
  });

  test("is looked at row by row where migrations were let run out of order", async () => {
    await using files = await makeWorkspace(four);
    await using asked = await askedDatabase();
    const { directory } = files;
    await applyMigrations(asked.db, await planMigrations(asked.db, { directory }));
    await files.write({ "0003_c.sql": "create table c ();" });
    await applyMigrations(asked.db, await planMigrations(asked.db, { directory, outOfOrder: "allow" }));
    const plan = await planMigrations(asked.db, { directory });
    expect(plan).toMatchObject({ migrations: [], findings: [] });
    await asked.db.query("update db_migrate.history set chain = 'x' where id = '0003_c'");
    expect((await planMigrations(asked.db, { directory })).findings.map(({ id }) => id)).toEqual(["MIGRATE-CHAIN"]);
  });
});
