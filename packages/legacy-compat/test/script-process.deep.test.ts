import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const programs = {
  count: fileURLToPath(new URL("programs/count-bills.ts", import.meta.url)),
  health: fileURLToPath(new URL("programs/health-check.ts", import.meta.url)),
};
const running =
  "select count(*)::int as running from pg_stat_activity where query like '%/* count-bills */%' and pid <> pg_backend_pid()";
let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  const client = await cluster.connect();
  await client.query("create table bills as select generate_series(1, 3) as id");
  await client.end();
});
afterAll(() => cluster?.stop());

/** Runs a program as a process of its own, and sends it `signal` once it has said `after`. */
async function run(
  program: keyof typeof programs,
  argv: readonly string[],
  { env = {}, signal, after }: { env?: Record<string, string>; signal?: NodeJS.Signals; after?: string } = {},
) {
  const child = spawn(process.execPath, ["--conditions=@db/source", "--no-deprecation", programs[program], ...argv], {
    env: {
      PATH: process.env["PATH"],
      DATABASE_URL: cluster.primary.url,
      READ_REPLICA_URLS: cluster.replicas[0].url,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  let sent = signal === undefined;
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (data: Buffer) => {
      said[name] += String(data);
      if (sent || !said[name].includes(after!)) return;
      sent = true;
      child.kill(signal);
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...said };
}

describe("a BaseDatabaseScript as a process", () => {
  test("answers in words, and in one JSON object", async () => {
    expect(await run("count", [])).toEqual({ code: 0, stdout: "count-bills: 3 bills\n", stderr: "" });
    const { code, stdout } = await run("count", ["--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      script: "count-bills",
      success: true,
      data: { bills: 3, database: "postgres" },
    });
  });

  test("shows its help, refuses a wrong flag with 2, and does nothing in a dry run", async () => {
    const env = { DATABASE_URL: "", READ_REPLICA_URLS: "" };
    const help = await run("count", ["-h"], { env });
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(/count-bills: Counts the bills.*--hang +never ends.*--dry-run.*--timeout/s);
    expect((await run("count", ["--hard"], { env })).code).toBe(2);
    expect(await run("count", ["--dry-run"], { env })).toMatchObject({
      code: 0,
      stdout: "count-bills: would count (dry run)\n",
    });
  });

  test("logs in JSON lines, all of them with --verbose", async () => {
    const { stderr } = await run("count", ["--verbose"]);
    const lines = stderr.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as object] : []));
    expect(lines).toContainEqual(
      expect.objectContaining({ level: "info", msg: "counted", bills: 3, outcome: "success" }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ done: 0, total: 2, msg: "connected" }));
  });

  test("ends with 1 when it fails, with 6 when nothing answers, with 7 when its time is up", async () => {
    const client = await cluster.connect();
    await client.query("alter table bills rename to kept; create table bills (id int)");
    const failed = await run("count", []);
    await client.query("drop table bills; alter table kept rename to bills");
    expect(failed).toMatchObject({ code: 1, stderr: "warning: empty\ncount-bills failed: no bills\n" });
    const away = await run("count", [], {
      env: { DATABASE_URL: "postgres://a:secret@127.0.0.1:1/a", READ_REPLICA_URLS: "" },
    });
    expect(away.code, away.stderr).toBe(6);
    expect(away.stderr).not.toContain("secret");
    expect((await run("count", ["--hang", "--timeout", "2"])).code).toBe(7);
    await expect.poll(async () => (await client.query(running)).rows[0], { timeout: 20_000 }).toEqual({ running: 0 });
    await client.end();
  });

  test("is ended by Ctrl-C with 130 and by SIGTERM with 143, and its statement with it", async () => {
    const client = await cluster.connect();
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const ended = await run("count", ["--hang"], { signal, after: "hanging" });
      expect(ended.code, ended.stderr).toBe(code);
      expect(ended.stderr).toContain(`interrupted by ${signal}`);
      await expect.poll(async () => (await client.query(running)).rows[0], { timeout: 20_000 }).toEqual({ running: 0 });
    }
    await client.end();
  });
});

describe("the health check as a process", () => {
  test("tells people what it saw, and machines in one JSON object", async () => {
    const { code, stdout } = await run("health", ["--benchmark"]);
    expect(code, stdout).toBe(0);
    for (const part of [
      /primary up, replicas up, \d+ open/,
      /ms a query, \d+ slow/,
      /monitoring +running/,
      /simple query/,
    ]) {
      expect(stdout).toMatch(part);
    }
    const json = await run("health", ["--json"], { env: { DB_MONITORING_ENABLED: "false" } });
    const { data } = JSON.parse(json.stdout) as { data: object };
    expect(data).toMatchObject({
      connections: { primary: true, replicas: true },
      monitoring: { enabled: false, running: false },
      recommendations: expect.arrayContaining(["Switch monitoring on: DB_MONITORING_ENABLED=true."]) as string[],
    });
  });

  test("looks again and again, until Ctrl-C", async () => {
    const { code, stdout } = await run("health", ["--continuous", "--interval", "10ms"], {
      signal: "SIGINT",
      after: "monitoring    running\n",
    });
    expect(code).toBe(130);
    expect(stdout).toContain("primary up");
  });

  test("fails with 1, and says what to do, when nothing answers", async () => {
    const env = { DATABASE_URL: "postgres://a:secret@127.0.0.1:1/a", READ_REPLICA_URLS: "" };
    const { code, stdout, stderr } = await run("health", [], { env });
    expect(code, stderr).toBe(1);
    expect(stdout).toContain("to do         See that the server runs");
    expect(stdout + stderr).not.toContain("secret");
  });
});
