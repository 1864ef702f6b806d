import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestCluster } from "@db/testkit";
import { Client } from "pg";
import { expect } from "vitest";
import { applyMigrations, migrationStatus, planMigrations } from "../src/index.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

const runner = fileURLToPath(new URL("forty-runner.ts", import.meta.url));

/** What is killed in the middle of it. */
export type Victim = "runner" | "server";

const statements = 40;

/**
 * A migration of forty statements. Each leaves a row with its number, and one run twice leaves two. Outside a
 * transaction every fourth one is a CREATE INDEX CONCURRENTLY, which cannot be in one.
 */
function forty(transactional: boolean): string {
  const lines = Array.from({ length: statements }, (_, index) => {
    const number = index + 1;
    if (!transactional && number % 4 === 0)
      return `create index concurrently marks_${number} on marks (n, (n + ${number}));`;
    return `insert into marks values (${number});`;
  });
  return `${lines.join("\n")}\n`;
}

/** Forty statements in a folder, after one migration that makes their table. */
export function fortyStatements(transactional: boolean): Promise<Workspace> {
  return makeWorkspace({
    "0001_marks.sql": "create table marks (n int not null);",
    "0002_forty.sql": forty(transactional),
    "0003_after.sql": "insert into marks values (100);",
  });
}

/**
 * Kills the runner or the server right after statement `at` of the forty was sent, looks whether the status tells the
 * truth, applies again and looks whether each statement took effect exactly once.
 */
export async function killAndFinish(
  cluster: TestCluster,
  { directory }: Workspace,
  { victim, at, transactional }: { readonly victim: Victim; readonly at: number; readonly transactional: boolean },
): Promise<void> {
  const { url } = await cluster.createDatabase();
  await runChild(url, directory, { at, victim }, async () => {
    if (victim === "server") await cluster.primary.kill();
  });
  if (victim === "server") await cluster.primary.start();
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const others =
      "select count(*)::int as n from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database() and backend_type = 'client backend'";
    while ((await client.query<{ n: number }>(others)).rows[0]?.n !== 0);
    await tellsTheTruth(client, directory, transactional);
    await applyMigrations(client, await planMigrations(client, { directory }));
    const after = await migrationStatus(client, { directory });
    expect(after.migrations.map(({ state }) => state)).toEqual(["applied", "applied", "applied"]);
    const wanted = Array.from({ length: statements }, (_, index) => index + 1);
    const inserts = wanted.filter((number) => transactional || number % 4 !== 0);
    const { rows } = await client.query<{ marks: number[] }>("select array_agg(n order by n) as marks from marks");
    expect(rows[0]?.marks).toEqual([...inserts, 100]);
    const indexes = await client.query("select indisvalid as valid from pg_index where indrelid = 'marks'::regclass");
    expect(indexes.rows).toEqual(Array.from({ length: transactional ? 0 : 10 }, () => ({ valid: true })));
  } finally {
    await client.end();
  }
}

/** Starts the runner, and calls `onSent` once it sent the statement; waits for its end. */
function runChild(
  url: string,
  directory: string,
  { at, victim }: { readonly at: number; readonly victim: Victim },
  onSent: () => Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const flags = ["--conditions=@db/source", "--no-warnings", runner, url, directory, String(at), victim];
    const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
    let sent: Promise<void> | undefined;
    child.stdout.once("data", () => void (sent = onSent()));
    child.once("error", reject);
    child.once("close", () => {
      if (sent) void sent.then(resolve, reject);
      else reject(new Error(`the runner ended before statement ${at}`));
    });
  });
}

async function tellsTheTruth(client: Client, directory: string, transactional: boolean): Promise<void> {
  const { migrations } = await migrationStatus(client, { directory });
  const there = await client.query("select to_regclass('marks') is not null as there");
  const exists = (there.rows[0] as { there: boolean }).there;
  expect(migrations[0]?.state).toBe(exists ? "applied" : "pending");
  if (!exists) return;
  const { rows } = await client.query<{ done: number; ended: number }>(
    `select (select count(*) from marks where n <= 40)::int as done, (select count(*) from marks where n = 100)::int as ended`,
  );
  const { done, ended } = rows[0] ?? { done: 0, ended: 0 };
  const forty = migrations[1];
  if (transactional) {
    expect([0, statements]).toContain(done);
    expect(forty?.state).toBe(done === 0 ? "pending" : "applied");
  } else {
    // What the journal calls done is done: of four statements three insert a row, so the count says how far it came.
    const said = forty?.state === "applied" ? statements : (forty?.statementsDone ?? 0);
    expect(done).toBe(said - Math.floor(said / 4));
  }
  expect(migrations[2]?.state === "applied").toBe(ended === 1);
}
