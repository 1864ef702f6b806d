import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createOrchestrator, type OrchestratorOptions, runMainJob } from "../src/index.ts";
import { sampleApplication } from "./sample-application.ts";

let cluster: TestCluster<1>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "main-job-"));
  cluster = await startCluster({ replicas: 1, settings: { shared_preload_libraries: "pg_stat_statements" } });
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: OrchestratorOptions = {}) {
  const { config } = await loadConfig({
    env: { DATABASE_URL: cluster.primary.url, READ_REPLICA_URLS: cluster.replicas[0].url },
    readFiles: false,
    overrides: { backup: { repository: join(folder, "backups"), encryptionKey: "correct horse battery staple" } },
  });
  return createOrchestrator(config, {
    application: sampleApplication,
    auditFile: join(folder, "audit.jsonl"),
    env: process.env,
    ...options,
  });
}

describe("main job", () => {
  test("changes nothing in a read-only run, and still reports", async () => {
    await using orchestrator = await open({ readOnly: true });
    const report = await runMainJob(orchestrator);
    expect(report.steps.filter(({ status }) => status === "failed")).toEqual([]);
    const { rows } = await orchestrator.pool.query(
      "select count(*)::int as made from pg_class c join pg_namespace n on n.oid = relnamespace where nspname !~ '^pg_|^information'",
    );
    expect(rows[0]).toEqual({ made: 0 });
    await expect(orchestrator.migrations.apply(await orchestrator.migrations.plan())).rejects.toMatchObject({
      code: "ORCHESTRATOR_READ_ONLY",
    });
  });

  test("does every step for real, and finds it all done the second time", async () => {
    await using orchestrator = await open();
    const first = await runMainJob(orchestrator);
    expect(first.ok, JSON.stringify(first.steps, undefined, 1)).toBe(true);
    expect(first.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "config done",
      "connect done",
      "schema done",
      "data done",
      "health done",
      "backup done",
      "drill done",
      "quality done",
      "indexes done",
      "monitor done",
      "audit done",
    ]);
    expect(first.steps.find(({ name }) => name === "drill")!.detail).toMatch(/tables with [\d,]+ rows equal/);
    expect(first.steps.find(({ name }) => name === "monitor")!.detail).toMatch(/PgLockWait fired .* cleared/);
    expect(first.steps.find(({ name }) => name === "quality")!.facts).toMatchObject({ failed: 1 });

    const second = await runMainJob(orchestrator);
    const skipped = second.steps.filter(({ status }) => status === "skipped").map(({ name }) => name);
    expect(skipped).toEqual(["data", "backup", "drill"]);
    expect(second.ok).toBe(true);
    const operations = new Set((await orchestrator.audit.entries()).map(({ operation }) => operation));
    expect(operations).toEqual(
      new Set(["migration.apply", "data.seed", "backup.create", "backup.drill", "validation.run", "index.trial"]),
    );
  });

  test("keeps unused parts unmade", async () => {
    await using orchestrator = await open();
    await orchestrator.pool.query("select 1");
    expect(orchestrator.used).toEqual(["pool"]);
  });

  test("reports a failed step, skips what stands on it and goes on with the rest", async () => {
    await using orchestrator = await open({
      application: { ...sampleApplication, seed: () => Promise.reject(new Error("disk full at postgres://u:pw@h/d")) },
    });
    const report = await runMainJob(orchestrator);
    expect(report.ok).toBe(false);
    const by = new Map(report.steps.map((step) => [step.name, step]));
    expect(by.get("data")).toMatchObject({ status: "failed", detail: "disk full at postgres://u:***@h/d" });
    expect(by.get("backup")).toMatchObject({ status: "skipped", detail: "needs “Example data”" });
    expect(by.get("monitor")!.status).toBe("done");
  });

  test("tells that health changed when the primary goes away, without being asked", async () => {
    await using own = await startCluster();
    const { config } = await loadConfig({
      env: { DATABASE_URL: own.primary.url, DB_HEALTH_CHECK_INTERVAL: "1h" },
      readFiles: false,
    });
    await using orchestrator = createOrchestrator(config);
    const changed: string[] = [];
    orchestrator.events.on("health:changed", ({ to }) => changed.push(to));
    await orchestrator.start(["health"]);
    await own.primary.stop("immediate");
    await expect.poll(() => changed.at(-1), { timeout: 20_000 }).toBe("fail");
    expect(changed[0]).toBe("pass");
  });
});
