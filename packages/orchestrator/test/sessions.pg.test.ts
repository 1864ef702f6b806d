import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createOrchestrator, type Orchestrator, type OrchestratorOptions } from "../src/index.ts";

let cluster: TestCluster;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reports-"));
  cluster = await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements" } });
  const client = await cluster.connect();
  await client.query("create extension pg_stat_statements");
  await client.end();
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: OrchestratorOptions = {}): Promise<Orchestrator> {
  const { config } = await loadConfig({
    env: { DATABASE_URL: cluster.primary.url },
    readFiles: false,
    overrides: {
      "backup.repository": join(folder, "backups"),
      "monitor.schedule.dailyReport": "0 6 * * *",
      "monitor.schedule.weeklyReport": "0 7 * * 1",
    },
  });
  return createOrchestrator(config, options);
}

describe("sessions", () => {
  test("cancels a statement, ends a session, and names both in the audit trail", async () => {
    await using db = await open();
    const client = await cluster.connect();
    client.on("error", () => undefined);
    const sleeping = client.query("select pg_sleep(600)").catch((error: { code: string }) => error.code);
    const find = async () =>
      (await db.sessions.inspect("long")).rows.find(({ query }) => String(query).includes("pg_sleep"));
    let row: Awaited<ReturnType<typeof find>>;
    await vi.waitFor(async () => expect((row = await find())).toBeDefined(), { timeout: 20_000 });
    const session = (await db.sessions.inspect("sessions")).rows.find(({ pid }) => pid === row!["pid"]);
    const name = { pid: Number(session!["pid"]), backendStart: String(session!["backendStart"]) };
    // The same pid of another time is another session.
    expect(await db.sessions.end("cancel", { ...name, backendStart: "2020-01-01T00:00:00Z" })).toBe(false);
    expect(await db.sessions.end("cancel", name)).toBe(true);
    expect(await sleeping).toBe("57014");
    const gone = new Promise((resolve) => client.once("end", resolve));
    expect(await db.sessions.end("terminate", name)).toBe(true);
    await gone;
    expect((await db.audit.entries()).map(({ operation, details }) => [operation, details["signalled"]])).toEqual([
      ["session.cancel", false],
      ["session.cancel", true],
      ["session.terminate", true],
    ]);
  });

  test("answers and signals while the application's pool has no connection left", async () => {
    await using db = await open();
    const held = await Promise.all(Array.from({ length: db.config.pool.max }, () => db.pool.connect()));
    expect((await db.sessions.inspect("connections")).rows.length).toBeGreaterThan(0);
    for (const connection of held) connection.release();
  });

  test("sends no signal and resets nothing where it may only read", async () => {
    await using db = await open({ readOnly: true });
    const readOnly = { code: "ORCHESTRATOR_READ_ONLY" };
    await expect(db.sessions.end("cancel", { pid: 1, backendStart: "2026-01-01" })).rejects.toMatchObject(readOnly);
    await expect(db.sessions.resetStatements()).rejects.toMatchObject(readOnly);
    expect(await db.audit.entries()).toEqual([]);
  });

  test("resets the counters of statements", async () => {
    await using db = await open();
    expect(await db.sessions.resetStatements()).toBe(true);
    expect((await db.audit.last("statements.reset"))!.details).toEqual({ reset: true });
  });
});

describe("reports", () => {
  test("are made on schedule where there is a folder for them, whole, and told in the audit trail", async () => {
    const reports = join(folder, "reports");
    await using db = await open({ reportsDirectory: reports });
    expect(db.jobs.states.map(({ name }) => name)).toEqual(expect.arrayContaining(["report-daily", "report-weekly"]));
    await db.jobs.runNow("report-daily");
    const files = (await readdir(reports)).toSorted();
    expect(files.map((name) => name.replace(/\d{4}-\d\d-\d\d/, "<date>"))).toEqual([
      "daily-<date>.html",
      "daily-<date>.json",
    ]);
    expect(await readFile(join(reports, files[0]!), "utf8")).toContain("<h2>Top queries</h2>");
    expect(JSON.parse(await readFile(join(reports, files[1]!), "utf8"))).toMatchObject({ verdict: expect.any(String) });
    expect((await db.audit.last("report.write"))!.details).toEqual({ kind: "daily" });
  });

  test("are not scheduled without a folder", async () => {
    await using db = await open();
    expect(db.jobs.states.filter(({ name }) => name.startsWith("report"))).toEqual([]);
    await expect(db.reports.write("daily")).rejects.toMatchObject({ code: "ORCHESTRATOR_NOT_CONFIGURED" });
  });
});
