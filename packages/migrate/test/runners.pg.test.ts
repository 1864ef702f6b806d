import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, type MigrationReport, migrationStatus, planMigrations } from "../src/index.ts";
import { hasPgbouncer, startPgbouncer } from "./pgbouncer.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const files = {
  "0001_t.sql": "create table t (id int, mark text);\ninsert into t select i, 'start' from generate_series(1, 1000) i;",
  "0002_index.sql":
    "create index concurrently t_id on t (id);\ninsert into t values (0, 'step');\ncreate index concurrently t_mark on t (mark);\nvacuum t;",
  "0003_drop.sql": "drop index concurrently t_mark;",
  "0004_end.sql": "insert into t values (-1, 'end');",
};

/** Eight runners at once, each with a connection of its own, which plan and apply until nothing is pending. */
async function runEight(url: string, { directory }: Workspace): Promise<MigrationReport[]> {
  return Promise.all(
    Array.from({ length: 8 }, async () => {
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        return await applyMigrations(client, await planMigrations(client, { directory }));
      } finally {
        await client.end();
      }
    }),
  );
}

async function checkOnce(url: string, runs: readonly MigrationReport[], { directory }: Workspace): Promise<void> {
  const applied = runs.flatMap((run) => run.applied.map(({ id }) => id));
  expect(applied.toSorted((a, b) => a.localeCompare(b))).toEqual(["0001_t", "0002_index", "0003_drop", "0004_end"]);
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const marks = await client.query("select mark, count(*)::int as n from t group by mark order by mark");
    expect(marks.rows).toEqual([
      { mark: "end", n: 1 },
      { mark: "start", n: 1000 },
      { mark: "step", n: 1 },
    ]);
    const indexes = await client.query(
      "select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indrelid = 't'::regclass",
    );
    expect(indexes.rows).toEqual([{ name: "t_id", valid: true }]);
    const status = await migrationStatus(client, { directory });
    expect(status).toMatchObject({ pending: 0, runner: null });
    const locks = await client.query("select count(*)::int as n from pg_locks where locktype = 'advisory'");
    expect(locks.rows).toEqual([{ n: 0 }]);
  } finally {
    await client.end();
  }
}

describe("eight runners at once, with CONCURRENTLY in the plan", () => {
  test("apply once and without a deadlock, directly", async () => {
    await using workspace = await makeWorkspace(files);
    const { url } = await cluster.createDatabase();
    await checkOnce(url, await runEight(url, workspace), workspace);
  });

  for (const mode of ["session", "transaction"] as const) {
    test.skipIf(!hasPgbouncer)(`apply once and without a deadlock, through PgBouncer in ${mode} mode`, async () => {
      await using workspace = await makeWorkspace(files);
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
