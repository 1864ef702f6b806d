import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, runDb, startDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster();
  env = { DATABASE_URL: (await cluster.createDatabase()).url, BACKUP_PATH: join(folder.path, "repository") };
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

describe("db schedule", () => {
  test("lists the jobs of the configuration without a server, old variables included", async () => {
    const own = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", DB_VALIDATION_HOURS: "1,13" };
    const { code, stdout } = await runDb(["schedule", "list", "--json"], { cwd: folder.path, env: own });
    expect(code).toBe(0);
    const { jobs } = (JSON.parse(stdout) as { data: { jobs: Record<string, unknown>[] } }).data;
    expect(jobs.map(({ name }) => name)).toEqual(["backup", "validation", "indexes"]);
    expect(jobs[1]).toMatchObject({ schedule: "0 1,13 * * *", nextRunAt: null, lastOutcome: null });
    expect(jobs[1]!["dueAt"]).toMatch(/T\d\d:00:00.000Z$/);
  });

  test("runs one job now: a backup that is there afterwards", async () => {
    const { code, stdout, stderr } = await runDb(["schedule", "run", "backup"], { cwd: folder.path, env });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^job backup done in /);
    const list = await runDb(["backup", "list", "--json"], { cwd: folder.path, env });
    expect((JSON.parse(list.stdout) as { data: { backups: unknown[] } }).data.backups).toHaveLength(1);
  });

  test("tells why a job failed, and which jobs there are", async () => {
    const file = join(folder.path, "file");
    await writeFile(file, "not a folder");
    const own = { ...env, BACKUP_PATH: join(file, "repository") };
    const failed = await runDb(["schedule", "run", "backup"], { cwd: folder.path, env: own });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/ENOTDIR|not a folder|not a directory/);
    const unknown = await runDb(["schedule", "run", "vacuum"], { cwd: folder.path, env });
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("Jobs: backup, validation, indexes.");
  });

  test("refuses a configuration that schedules nothing", async () => {
    const config = join(folder.path, "nothing.json");
    const features = { validation: false, indexOptimization: false };
    await writeFile(config, JSON.stringify({ backup: { schedule: { full: "off" } }, features }));
    const { code, stderr } = await runDb(["schedule", "--config", config], { cwd: folder.path, env });
    expect(code).toBe(2);
    expect(stderr).toContain("schedules nothing");
  });

  test("runs jobs until it is stopped", async () => {
    const running = startDb(["schedule"], { cwd: folder.path, env });
    await running.printed(/validation +0 2,14 \* \* \*/);
    running.child.kill("SIGTERM");
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain("stopped");
  });
});
