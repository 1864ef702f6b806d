import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestCluster } from "@db/testkit";
import { Client } from "pg";
import { expect } from "vitest";
import { applyMigrations, migrationStatus, planMigrations } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

const runner = fileURLToPath(new URL("crash-runner.ts", import.meta.url));
const run = promisify(execFile);

// Each statement leaves exactly one mark; one run twice leaves two.
const files = {
  "0001_start.sql": "create table m1 (mark text not null);\ninsert into m1 values ('start');",
  "0002_steps.sql": [
    "create table m2 (id int);",
    "create index concurrently m1_mark on m1 (mark);",
    "insert into m1 values ('step');",
    "create index concurrently if not exists m1_other on m1 (mark desc);",
    "do $$ begin insert into m1 values ('block'); end $$;",
    "drop index concurrently m1_other;",
    "vacuum m1;",
  ].join("\n"),
  "0003_end.sql": "create table m3 (id int);\ninsert into m1 values ('end');",
};

async function runChild(url: string, directory: string, killAt: number): Promise<{ killed: boolean; sent: number }> {
  try {
    const arguments_ = ["--conditions=@db/source", "--no-warnings", runner, url, directory, String(killAt)];
    const { stdout } = await run(process.execPath, arguments_);
    return { killed: false, sent: (JSON.parse(stdout) as { sent: number }).sent };
  } catch (error) {
    if ((error as { signal?: string }).signal === "SIGKILL") return { killed: true, sent: killAt };
    throw error;
  }
}

async function checkAfterKill(url: string, directory: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    // The server notices the dead client on its own time.
    const gone =
      "select count(*)::int as n from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()";
    while ((await client.query<{ n: number }>(gone)).rows[0]?.n !== 0);
    const status = await migrationStatus(client, { directory });
    const { rows } = await client.query<{ tables: string[] }>(
      "select array_agg(relname::text order by relname) as tables from pg_class where relname in ('m1', 'm2', 'm3')",
    );
    const tables = rows[0]?.tables ?? [];
    const states = status.migrations.map(({ state }) => state);
    const told = [states[0] === "applied", (status.migrations[1]?.statementsDone ?? 0) > 0, states[2] === "applied"];
    // The first statement of the second migration makes its table.
    expect(
      ["m1", "m2", "m3"].map((table) => tables.includes(table)),
      states.join(),
    ).toEqual(told);
    const plan = await planMigrations(client, { directory });
    await applyMigrations(client, plan);
    const after = await migrationStatus(client, { directory });
    expect(after.migrations.map(({ state }) => state)).toEqual(["applied", "applied", "applied"]);
    const marks = await client.query("select array_agg(mark order by mark) as marks from m1");
    expect(marks.rows).toEqual([{ marks: ["block", "end", "start", "step"] }]);
    const indexes = await client.query(
      "select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'm1'::regclass",
    );
    expect(indexes.rows).toEqual([{ relname: "m1_mark", indisvalid: true }]);
    return states.join();
  } finally {
    await client.end();
  }
}

/**
 * Kills a runner right after its first query, then in a new database after its `every`-th next, and so on to the end.
 * After each, the status must be true and the next apply must finish without doing anything twice.
 * @returns the states seen right after the kills
 */
export async function killEverywhere(cluster: TestCluster, every: number): Promise<string[]> {
  await using workspace = await makeWorkspace(files);
  const { directory } = workspace;
  const whole = await runChild((await cluster.createDatabase()).url, directory, 0);
  expect(whole.killed).toBe(false);
  const seen = new Set<string>();
  for (let killAt = 1; killAt <= whole.sent; killAt += every) {
    const { url } = await cluster.createDatabase();
    expect(await runChild(url, directory, killAt)).toEqual({ killed: true, sent: killAt });
    seen.add(await checkAfterKill(url, directory));
  }
  return [...seen];
}
