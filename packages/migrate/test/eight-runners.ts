import { Client } from "pg";
import { expect } from "vitest";
import { applyMigrations, type MigrationReport, migrationStatus, planMigrations } from "../src/index.ts";
import type { Workspace } from "./workspace.ts";

/** Four migrations that need statements outside a transaction between statements inside one. */
export const concurrentFiles = {
  "0001_t.sql": "create table t (id int, mark text);\ninsert into t select i, 'start' from generate_series(1, 1000) i;",
  "0002_index.sql":
    "create index concurrently t_id on t (id);\ninsert into t values (0, 'step');\ncreate index concurrently t_mark on t (mark);\nvacuum t;",
  "0003_drop.sql": "drop index concurrently t_mark;",
  "0004_end.sql": "insert into t values (-1, 'end');",
};

/** Eight runners at once, each with a connection of its own, which plan and apply until nothing is pending. */
export async function runEight(url: string, { directory }: Workspace): Promise<MigrationReport[]> {
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

/** Each migration was applied by exactly one of the runs, its statements once, and nothing is held any more. */
export async function checkOnce(
  url: string,
  runs: readonly MigrationReport[],
  { directory }: Workspace,
): Promise<void> {
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
