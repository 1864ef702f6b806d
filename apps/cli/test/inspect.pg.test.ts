import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { inspections } from "@db/orchestrator";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspectNames, olderInspectNames } from "../src/commands.ts";
import { emptyFolder, runDb, startDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements" } });
  env = { DATABASE_URL: cluster.primary.url, BACKUP_PATH: join(folder.path, "repository") };
  const client = await cluster.connect();
  await client.query("create extension pg_stat_statements; create table parts (id int primary key)");
  await client.end();
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

const db = (...args: string[]) => runDb(args, { cwd: folder.path, env });

describe("db inspect", () => {
  test("lists what can be asked, and the help names it all", async () => {
    const { code, stdout } = await db("inspect");
    expect(code).toBe(0);
    for (const name of inspectNames) expect(stdout).toContain(name);
    expect(inspections.map(({ name }) => name)).toEqual(inspectNames);
    expect(inspections.flatMap(({ aliases = [] }) => aliases).toSorted()).toEqual(olderInspectNames.toSorted());
  });

  test("gives people a table and machines raw numbers", async () => {
    const people = await db("inspect", "tables");
    expect(people.stdout).toMatch(/^Table +Rows +Table +Indexes/);
    expect(people.stdout).toContain("public.parts");
    const machine = JSON.parse((await db("inspect", "table-sizes", "--json")).stdout) as { data: { rows: unknown[] } };
    expect(machine.data.rows[0]).toMatchObject({ table: "public.parts", tableBytes: expect.any(Number) });
  });

  test("says what was meant by a word it does not know", async () => {
    const { code, stderr } = await db("inspect", "blokcing");
    expect(code).toBe(2);
    expect(stderr).toContain("Did you mean blocking?");
  });
});

describe("db top", () => {
  test("gives one look as data", async () => {
    const { code, stdout } = await db("top", "--once", "--json", "--interval", "300ms");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      data: { database: "postgres", transactionsPerSecond: expect.any(Number), running: expect.any(Array) },
    });
  });

  test("goes on until Ctrl-C, one screen after the other", async () => {
    const running = startDb(["top", "--interval", "300ms"], { cwd: folder.path, env });
    let out = "";
    await new Promise<void>((resolve, reject) => {
      running.child.stdout!.on("data", (data: Buffer) => {
        out += String(data);
        if (out.split("Running (").length > 3) resolve();
      });
      void running.ended.then(({ stderr }) => reject(new Error(`ended early: ${stderr}`)));
    });
    process.kill(running.child.pid!, "SIGINT");
    expect((await running.ended).code).toBe(0);
  });
});

describe("db report", () => {
  test("writes one page that needs nothing else", async () => {
    const file = join(folder.path, "report.html");
    expect((await db("report", "--html", file)).code).toBeLessThan(5);
    const page = await readFile(file, "utf8");
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.postgresql)/);
    expect((await db("report", "--html", file, "--out", file)).code).toBe(2);
  });
});

describe("db monitor", () => {
  test("writes rules and a dashboard, and lists every metric", async () => {
    expect((await db("monitor", "rules")).stdout).toContain("alert: PgDown");
    const dashboard = JSON.parse((await db("monitor", "grafana")).stdout) as { panels: unknown[] };
    expect(dashboard.panels.length).toBeGreaterThan(5);
    expect((await db("monitor", "metrics")).stdout).toContain("pg_up");
  });
});
