import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { identify } from "@db/embedded";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

describe("startCluster", () => {
  let cluster: TestCluster<1>;
  beforeAll(async () => {
    cluster = await startCluster({ replicas: 1, settings: { shared_preload_libraries: "pg_stat_statements" } });
  });
  afterAll(() => cluster.stop());

  test("starts a primary and a replica that streams from it", async () => {
    const client = await cluster.connect();
    const { rows } = await client.query("select application_name, state from pg_stat_replication");
    await client.end();
    expect(rows).toEqual([{ application_name: "replica_1", state: "streaming" }]);
  });

  test("keeps the port over a power failure", async () => {
    const { url } = cluster.primary;
    await cluster.primary.kill();
    expect(await cluster.primary.isRunning()).toBe(false);
    await cluster.primary.start();
    expect(cluster.primary.url).toBe(url);
  });

  test("gives each test a database, a copy of a template when asked", async () => {
    const first = await cluster.createDatabase();
    const client = await cluster.connect(first.name);
    await client.query("create table bill (id int)");
    await client.end();
    const copy = await cluster.createDatabase({ template: first.name });
    const second = await cluster.connect(copy.name);
    const { rows } = await second.query("select count(*)::int as count from bill");
    await second.end();
    expect(copy.url).toContain(copy.name);
    expect(rows).toEqual([{ count: 0 }]);
  });

  test("freezes a server so that its connections stay open and nothing answers", async () => {
    const client = await cluster.connect();
    await cluster.primary.freeze();
    const answer = client.query("select 1 as one");
    expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 150, "silence"))])).toBe("silence");
    await cluster.primary.thaw();
    expect((await answer).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test("applies new settings to a running server", async () => {
    await cluster.primary.reconfigure({ work_mem: "8MB" });
    const pool = cluster.createPool({ max: 1 });
    await expect.poll(async () => (await pool.query("show work_mem")).rows).toEqual([{ work_mem: "8MB" }]);
    await pool.end();
  });

  test("promotes a replica that then takes writes", async () => {
    await cluster.replicas[0].promote();
    const client = await cluster.replicas[0].connect();
    await client.query("create table written (id int)");
    await client.end();
  });
});

describe("startCluster with more", () => {
  test("archives WAL and makes tablespaces", async () => {
    await using cluster = await startCluster({ archive: true, tablespaces: ["cold"] });
    const client = await cluster.connect();
    await client.query("create table frozen (id int) tablespace cold");
    const { rows } = await client.query("select pg_walfile_name(pg_current_wal_lsn()) as name");
    await client.query("select pg_switch_wal()");
    await client.end();
    await expect.poll(() => existsSync(`${cluster.archiveDirectory}/${rows[0].name}`), { timeout: 10_000 }).toBe(true);
    expect(existsSync(cluster.tablespaceDirectory("cold"))).toBe(true);
  });

  test("takes its own access rules and arguments of initdb", async () => {
    await using cluster = await startCluster({
      hba: "host all all 127.0.0.1/32 trust\n",
      initdbArguments: ["--wal-segsize=1"],
    });
    const url = new URL(cluster.primary.url);
    url.password = "wrong";
    const pool = cluster.createPool({ connectionString: url.href, max: 1 });
    expect((await pool.query("show wal_segment_size")).rows).toEqual([{ wal_segment_size: "1MB" }]);
    await pool.end();
  });

  test("leaves no directory when it is stopped", async () => {
    const cluster = await startCluster();
    await cluster.stop();
    expect(existsSync(cluster.primary.dataDirectory)).toBe(false);
  });

  test("leaves nothing when the test process is killed, frozen servers included", async () => {
    const script = fileURLToPath(new URL("hold-cluster.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=@db/source", script], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const held = JSON.parse(line) as { pids: number[]; dataDirectory: string };
    child.kill("SIGKILL");
    const alive = async (): Promise<boolean> => (await Promise.all(held.pids.map(identify))).some((found) => found);
    await expect.poll(alive, { timeout: 20_000 }).toBe(false);
    await expect.poll(() => existsSync(held.dataDirectory), { timeout: 20_000 }).toBe(false);
  });
});
