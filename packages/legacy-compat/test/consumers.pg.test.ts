import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const consumers = fileURLToPath(new URL("consumers", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consumers-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Told {
  readonly phase: string;
  readonly facts?: object;
}

/** Runs a consumer's program on a cluster with a replica, and takes the primary away when it is ready for that. */
async function throughFailover(program: string): Promise<Readonly<Record<string, unknown>>> {
  await using cluster = await startCluster({ replicas: 1 });
  const [replica] = cluster.replicas;
  const child: ChildProcess = fork(join(consumers, program), [], {
    execArgv: ["--conditions=@db/source", "--no-deprecation"],
    // The old variables, and nothing else, configure it.
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      DATABASE_URL: cluster.primary.url,
      READ_REPLICA_URLS: replica.url,
      BACKUP_PATH: join(folder, program.replaceAll("/", "-")),
      BACKUP_ENCRYPTION_KEY: "correct horse battery staple",
      DB_MONITORING_INTERVAL: "5000",
    },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (data: Buffer) => (said += String(data)));
  const facts: Record<string, unknown> = {};
  let failing: Promise<void> | undefined;
  child.on("message", (message: Told) => {
    facts[message.phase] = message.facts;
    if (message.phase !== "ready for a failover") return;
    failing = (async () => {
      await caughtUp(cluster);
      await cluster.primary.kill();
      await replica.promote();
      child.send("failed over");
    })();
    failing.catch(() => child.kill());
  });
  const [code] = (await once(child, "exit")) as [number | null];
  await failing;
  expect(code, said).toBe(0);
  return facts;
}

/** What was committed is to survive the failover: the replica has all of it first. */
async function caughtUp(cluster: TestCluster<1>): Promise<void> {
  const client = await cluster.connect();
  const sql =
    "select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 1)::int as behind from pg_stat_replication";
  await expect
    .poll(async () => (await client.query<{ behind: number }>(sql)).rows[0]?.behind, { timeout: 30_000 })
    .toBe(0);
  await client.end();
}

function typeChecks(project: string): void {
  const compiler = join(consumers, "../../../../node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", join(consumers, project)], {
    encoding: "utf8",
    timeout: 120_000,
  });
  expect(stdout).toBe("");
  expect(status).toBe(0);
}

describe("the code of the platforms' own guides", () => {
  test("type-checks as it stands there", () => typeChecks("tsconfig.guide.json"));

  test("runs as it stands there, on a cluster with a replica", async () => {
    await using cluster = await startCluster({ replicas: 1 });
    const client = await cluster.connect();
    await client.query("create table bills (id serial primary key, title text not null, status text not null)");
    await client.query(
      "create table bill_engagement (bill_id int not null references bills (id), user_id int not null)",
    );
    await client.query("insert into bills (title, status) values ('Water', 'active')");
    await client.end();
    await caughtUp(cluster);
    const runner = join(consumers, "../../../../node_modules/vitest/vitest.mjs");
    const child = spawn(process.execPath, [runner, "run", "--config", join(consumers, "guides.config.ts")], {
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        NO_COLOR: "1",
        NODE_ENV: "development",
        DATABASE_URL: cluster.primary.url,
        READ_REPLICA_URLS: cluster.replicas[0].url,
        BACKUP_PATH: join(folder, "guides"),
        BACKUP_ENCRYPTION_KEY: "correct horse battery staple",
        DB_MONITORING_INTERVAL: "5000",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said += String(data)));
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code, said).toBe(0);
    expect(said).toMatch(/Test Files +5 passed/);
    expect(said).toContain("Circuit breaker: CLOSED");
  }, 180_000);
});

describe("a consumer that knows only the old names", () => {
  test("type-checks against the shim, by its own compiler options", () => typeChecks("tsconfig.json"));

  test("Chanuka: repositories, transactions, services and scripts work, and go on through a failover", async () => {
    const { before, after, end } = await throughFailover("chanuka/server/main.ts");
    expect(before).toMatchObject({
      active: [{ id: 1, title: "New Bill", status: "active" }],
      rolledBack: "changed my mind",
      engagement: 1,
      bills: [{ title: "New Bill" }],
      health: "healthy",
      serviceHealth: { healthy: true },
      monitored: { totalAcquired: 1, failedAcquires: 0 },
      secondInitialized: true,
      testEnvironment: true,
      interval: 5_000,
      validation: 0,
      backup: "completed",
      script: { success: true, data: { count: 1, database: "postgres" } },
      dryRun: true,
      healthScript: true,
      older: true,
    });
    expect(after).toMatchObject({ titles: ["New Bill", "After"], healthy: true, orchestratorHealthy: true });
    const { totalQueries, failedQueries, failedWrites } = after as Record<string, number>;
    expect(failedQueries).toBe(failedWrites);
    expect(totalQueries).toBe(failedWrites! + 2);
    expect(end).toEqual({ running: true, late: false });
  });

  test("Learning Assistant: health and backups work, and health comes back after a failover", async () => {
    const { before, after } = await throughFailover("learning-assistant/src/main.ts");
    expect(before).toMatchObject({
      replicated: true,
      backup: { encrypted: true, compressed: true, status: "completed" },
      quick: "healthy",
    });
    expect(after).toMatchObject({ alive: true, history: 2 });
  });

  test("Unified Healthcare: the manager lives through its guide and a failover", async () => {
    const { before, after, end } = await throughFailover("unified-healthcare/main.ts");
    expect(before).toEqual({
      early: "LEGACY_NOT_INITIALIZED",
      same: true,
      twice: true,
      healthy: true,
      replica: true,
      limit: 10,
    });
    expect(after).toBeDefined();
    expect(end).toEqual({ healthy: false });
  });
});
