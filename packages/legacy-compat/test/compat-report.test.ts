import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compatReport, successors } from "@db/legacy-compat";
import * as everything from "@db/legacy-compat";
import { AdvancedPoolConfig, createTestDatabaseConfig, getDatabaseConfig } from "@db/legacy-compat/chanuka";
import * as chanuka from "@db/legacy-compat/chanuka";
import * as core from "@db/legacy-compat/chanuka/core";
import * as learningAssistant from "@db/legacy-compat/learning-assistant";
import * as unifiedHealthcare from "@db/legacy-compat/unified-healthcare";
import { beforeEach, describe, expect, test } from "vitest";
import { useEnvironment } from "./old-environment.ts";

beforeEach(() => useEnvironment({ DATABASE_URL: "postgres://app:secret@127.0.0.1:5432/app" }));

function runNode(flags: readonly string[], script: string): { status: number | null; stdout: string; stderr: string } {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const env = { PATH: process.env["PATH"], DATABASE_URL: "postgres://app:secret@127.0.0.1:1/app" };
  const args = ["--conditions=@db/source", ...flags, "--input-type=module", "--eval", script];
  return spawnSync(process.execPath, args, { cwd, env, encoding: "utf8", timeout: 30_000 });
}

const useSome = `
  await import("@db/legacy-compat");
  console.error("imported");
  const { createTestDatabaseConfig } = await import("@db/legacy-compat/chanuka");
  const { initializeDatabaseManager } = await import("@db/legacy-compat/unified-healthcare");
  createTestDatabaseConfig();
  createTestDatabaseConfig();
  const manager = initializeDatabaseManager({ connectionLimit: 4 });
  manager.getMetrics();
  console.log(initializeDatabaseManager({ connectionLimit: 9 }).getMetrics().connectionLimit);
  await manager.disconnect();`;

describe("old names", () => {
  test("each have a successor and no other name is exported", () => {
    const old = Object.keys({ ...chanuka, ...learningAssistant, ...unifiedHealthcare }).toSorted();
    expect(old).toEqual(Object.keys(successors).toSorted());
    expect(Object.keys(chanuka)).toEqual(expect.arrayContaining(Object.keys(core)));
    expect(Object.keys(everything)).toEqual(expect.arrayContaining(old));
  });

  test("are counted, with the places that use them", () => {
    createTestDatabaseConfig();
    createTestDatabaseConfig();
    AdvancedPoolConfig.staging();
    const report = compatReport();
    expect(report.copies).toBe(1);
    const [pools, test] = report.names;
    expect(pools).toMatchObject({ name: "AdvancedPoolConfig", code: "DB_LEGACY_ADVANCED_POOL_CONFIG", uses: 1 });
    expect(test).toMatchObject({ name: "createTestDatabaseConfig", uses: 2 });
    const locations = test!.sites.map(({ location }) => location);
    expect(locations).toHaveLength(2);
    for (const location of locations) expect(location).toMatch(/compat-report\.test\.ts:\d+:\d+$/);
  });

  test("are located by samples when they are used often", () => {
    for (let i = 0; i < 1_000; i += 1) getDatabaseConfig();
    const use = compatReport().names.find(({ name }) => name === "getDatabaseConfig")!;
    expect(use.uses).toBe(1_000);
    expect(use.sites[0]!.uses).toBeLessThan(120);
  });
});

describe("deprecation warnings", () => {
  test("come once for each name and process, name the successor, and tell of settings that come too late", () => {
    const { stdout, stderr } = runNode([], useSome);
    const lines = stderr.split("\n").filter((line) => /imported|DB_LEGACY/.test(line));
    expect(lines[0]).toBe("imported");
    expect(lines[1]).toContain("[DB_LEGACY_CREATE_TEST_DATABASE_CONFIG] DeprecationWarning");
    expect(lines[1]).toContain("use loadConfig");
    expect(lines[2]).toContain("[DB_LEGACY_INITIALIZE_DATABASE_MANAGER]");
    expect(lines[3]).toContain("[DB_LEGACY_CONFIGURATIONS]");
    expect(lines).toHaveLength(4);
    expect(stdout.trim()).toBe("4");
  });

  test("are silenced by the switch of Node", () => {
    expect(runNode(["--no-deprecation"], useSome).stderr.trim()).toBe("imported");
    const { stderr } = runNode(["--disable-warning=DB_LEGACY_INITIALIZE_DATABASE_MANAGER"], useSome);
    expect(stderr).not.toContain("DB_LEGACY_INITIALIZE_DATABASE_MANAGER");
    expect(stderr).toContain("DB_LEGACY_CREATE_TEST_DATABASE_CONFIG");
  });

  // Node throws on its next tick: what was running until then has run.
  test("end the process where Node is told to throw on them, at the first old name", () => {
    const { status, stderr } = runNode(["--throw-deprecation"], useSome);
    expect(status).toBe(1);
    expect(stderr).toContain("DB_LEGACY_CREATE_TEST_DATABASE_CONFIG");
    expect(stderr).not.toContain("DB_LEGACY_INITIALIZE_DATABASE_MANAGER");
  });
});

describe("what the old variables ask for and nothing does", () => {
  test("is told once, whatever silences deprecations", () => {
    const { stdout, stderr } = runNode(
      ["--no-deprecation"],
      `Object.assign(process.env, { BACKUP_REMOTE_STORAGE: "true", BACKUP_STORAGE_BUCKET: "bucket", BACKUP_PATH: "/backups",
         NOTIFICATION_ENABLED: "true", NOTIFICATION_EMAIL: "a@example.com" });
       const { getConnectionManager, createDatabaseOrchestrator } = await import("@db/legacy-compat/chanuka");
       for (let i = 0; i < 2; i += 1) getConnectionManager().getPool();
       (await createDatabaseOrchestrator({ autoInitialize: false })).getConnectionManager().getPool();
       console.log("done");`,
    );
    expect(stdout.trim(), stderr).toBe("done");
    expect(stderr.match(/DB_LEGACY_REMOTE_STORAGE.*/g)).toEqual([
      "DB_LEGACY_REMOTE_STORAGE] Warning: no copy of a backup goes to s3 bucket bucket: backups are stored in /backups alone",
    ]);
    expect(stderr.match(/DB_LEGACY_NOTIFICATION/g)).toHaveLength(1);
  });
});

describe("two copies in one process", () => {
  test("are told once, and counted together", () => {
    // The sources and what is built of them are two copies.
    const { stdout, stderr } = runNode(
      [],
      `const one = await import("./dist/chanuka/index.js");
       const two = await import("@db/legacy-compat/chanuka");
       for (const { createTestDatabaseConfig } of [one, two, one]) createTestDatabaseConfig();
       const { copies, names } = (await import("@db/legacy-compat")).compatReport();
       console.log(copies, names[0].uses);`,
    );
    expect(stdout.trim()).toBe("2 3");
    expect(stderr.match(/\[DB_LEGACY_COPIES\]/g)).toHaveLength(1);
    expect(stderr).toContain("two copies of @db/legacy-compat run in this process");
  });
});

describe("configuration", () => {
  test("tells all its problems, and no secret", () => {
    useEnvironment({ DATABASE_URL: "postgres://app:secret@h:99999/app", DB_CONNECTION_LIMIT: "many" });
    const read = (): unknown => getDatabaseConfig().getConnectionConfig();
    expect(read).toThrow(/DB_CONNECTION_LIMIT/);
    expect(read).toThrow(/DATABASE_URL/);
    expect(read).not.toThrow(/secret/);
  });
});
