import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

let cluster: TestCluster;
let observer: Client;
let url: string;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  ({ url } = await cluster.createDatabase());
  observer = await cluster.connect(new URL(url).pathname.slice(1));
  await observer.query("create table bill (id int primary key)");
});
afterAll(async () => {
  await observer.end();
  await cluster.stop();
});

const root = fileURLToPath(new URL("..", import.meta.url));

/** A process with a pool of its own, killed by SIGKILL as soon as it says that it is where it should be. */
async function killed(body: string, connection: string): Promise<void> {
  const program = `
    import { createPool } from "@db/pool";
    const pool = createPool({ primaryUrl: ${JSON.stringify(connection)}, applicationName: "doomed" });
    ${body}`;
  const args = ["--conditions=@db/source", "--no-warnings", "--input-type=module", "--eval", program];
  const child: ChildProcess = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const said = once(createInterface({ input: child.stdout! }), "line");
  const first = await Promise.race([said.then(String), ended.then(() => "it ended by itself")]);
  expect(first).toBe("ready");
  child.kill("SIGKILL");
  expect((await ended)[1]).toBe("SIGKILL");
}

async function backends(): Promise<number> {
  const { rows } = await observer.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where application_name = 'doomed'",
  );
  return rows[0]!.n;
}

test("a process killed in a transaction leaves nothing half done: no row, no lock, no connection", async () => {
  await killed(
    `await pool.withTransaction(async (tx) => {
      await tx.query("insert into bill values (1)");
      await tx.query("select pg_advisory_xact_lock(7)");
      console.log("ready");
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`,
    url,
  );
  await expect.poll(backends, { timeout: 10_000 }).toBe(0);
  expect((await observer.query("select id from bill")).rows).toEqual([]);
  expect((await observer.query("select pg_try_advisory_lock(7) as free")).rows).toEqual([{ free: true }]);
  await observer.query("select pg_advisory_unlock(7)");
});

test("a process killed in a statement is noticed by the server that looks for its clients, and undone", async () => {
  const looking = `${url}?options=${encodeURIComponent("-c client_connection_check_interval=100ms")}`;
  await killed(
    `void pool.query("insert into bill select 2 from pg_sleep(600)");
    for (;;) {
      const { rows } = await pool.query("select 1 from pg_stat_activity where state = 'active' and query like 'insert into bill select 2%'");
      if (rows.length > 0) break;
    }
    console.log("ready");`,
    looking,
  );
  await expect.poll(backends, { timeout: 10_000 }).toBe(0);
  expect((await observer.query("select id from bill")).rows).toEqual([]);
});
