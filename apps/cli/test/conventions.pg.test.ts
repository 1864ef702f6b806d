import { spawn } from "node:child_process";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commands } from "../src/commands.ts";
import { binary, emptyFolder, type Ended, example, runDb, startDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster();
  env = {
    DATABASE_URL: (await cluster.createDatabase()).url,
    BACKUP_PATH: join(folder.path, "repository"),
    // A silence that no other process would know of is refused.
    DB_MONITORING_HISTORY: "true",
  };
  await cp(join(example, "migrations"), join(folder.path, "migrations"), { recursive: true });
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

// What a command cannot do without.
const needed: Readonly<Record<string, readonly string[]>> = {
  "migrate new": ["words"],
  "migrate apply": ["plan.json"],
  "migrate to": ["1"],
  "migrate import": ["elsewhere"],
  "migrate baseline": ["1"],
  "migrate switch": ["public"],
  "restore plan": ["--to", "restored"],
  "restore run": ["--to", "restored"],
  "backup show": ["20260101-000000F"],
  "backup keep": ["20260101-000000F"],
  "backup hold": ["20260101-000000F"],
  "backup rotate-key": ["--new-key-file", "db.config.none"],
  "wal serve": ["--socket", "wal.sock"],
  "wal push": ["pg_wal/000000010000000000000001"],
  "wal fetch": ["000000010000000000000001", "fetched"],
  "schedule run": ["validation"],
  "monitor silence": ["PgLockWait", "--reason", "a test"],
  "monitor unsilence": ["4f7c0d1e-0a55-4c06-9d5e-6f8f2d3c9b10"],
  completion: ["bash"],
};
const staysUp = new Set(["start", "dev", "serve", "schedule", "wal receive", "wal serve"]);

function line(name: string, ...flags: string[]): string[] {
  return [...name.split(" "), ...(needed[name] ?? []), ...flags];
}

async function each(
  names: readonly string[],
  flags: readonly string[],
): Promise<readonly (readonly [string, Ended])[]> {
  const results: (readonly [string, Ended])[] = [];
  const queue = [...names];
  const worker = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift())
      results.push([name, await runDb(line(name, ...flags), { cwd: folder.path, env })]);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return results;
}

const names = commands.map(({ name }) => name);

describe("every command", () => {
  test("ends with 7 when --timeout runs out, and says so in one JSON object", async () => {
    for (const [name, { code, stdout, stderr }] of await each(names, ["--timeout", "1ms", "--json"])) {
      const { failureCode = 7 } = commands.find((command) => command.name === name)!;
      expect(code, `${name}: ${stdout}${stderr}`).toBe(failureCode);
      expect(JSON.parse(stdout), name).toMatchObject({ command: name, ok: false, error: { code: "CLI_TIMEOUT" } });
      expect(stderr, name).toBe("");
    }
  });

  test("answers with exactly one JSON object when asked to, whatever it says", async () => {
    const quick = names.filter((name) => !staysUp.has(name) && !["init", "backup run", "restore run"].includes(name));
    for (const [name, { code, stdout, stderr }] of await each(quick, ["--json", "--dry-run"])) {
      const envelope = JSON.parse(stdout) as { command: string; dryRun: boolean; error: unknown };
      expect(envelope, name).toMatchObject({ command: name, dryRun: true });
      expect(code === 0 || code === 4 || envelope.error !== null, `${name}: ${code}`).toBe(true);
      expect(stderr, name).toBe("");
    }
  });

  test("changes nothing with --dry-run", async () => {
    const client = await cluster.connect(new URL(env["DATABASE_URL"]!).pathname.slice(1));
    const objects = async (): Promise<string> =>
      JSON.stringify((await client.query("select relname, reltuples from pg_class where oid >= 16384")).rows);
    const before = [await objects(), (await readdir(folder.path, { recursive: true })).toSorted().join("\n")];
    const changing = commands.filter(({ effect }) => effect !== "reads").map(({ name }) => name);
    for (const [name, { code, stdout, stderr }] of await each(changing, ["--dry-run", "--confirm", "test_1"])) {
      // A backup, a key, an index, a plan, a folder or a migration that is not there is a refusal; nothing else fails.
      const migrate = ["apply", "to", "squash", "import", "baseline", "expand", "backfill", "contract"].map(
        (verb) => `migrate ${verb}`,
      );
      const nothing = ["restore run", "optimize apply", "backup keep", "backup hold", "backup rotate-key", ...migrate];
      if (code !== 0) expect(nothing, `${name}: ${stdout}${stderr}`).toContain(name);
    }
    const after = [await objects(), (await readdir(folder.path, { recursive: true })).toSorted().join("\n")];
    await client.end();
    expect(after).toEqual(before);
  });

  test("has a help page with an example and its flags", async () => {
    const results = await Promise.all(
      ["migrate up", "backup run"].map((name) => runDb([...name.split(" "), "--help"], { cwd: folder.path })),
    );
    for (const { code, stdout } of results) {
      expect(code).toBe(0);
      expect(stdout).toContain("Examples");
      expect(stdout).toContain("--dry-run");
    }
    for (const { name, examples } of commands) expect(examples.length, name).toBeGreaterThan(0);
  });
});

describe("a destructive command without a terminal", () => {
  test("changes nothing and ends with 5 until its target is named", async () => {
    const run = (...args: string[]): Promise<Ended> => runDb(args, { cwd: folder.path, env });
    expect((await run("migrate", "up")).code).toBe(0);
    const refused = await run("migrate", "down", "--yes");
    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain("--confirm test_1");
    expect((await run("migrate", "down", "--confirm", "another")).code).toBe(5);
    const status = async (): Promise<number> =>
      (JSON.parse((await run("migrate", "status", "--json")).stdout) as { data: { pending: number } }).data.pending;
    expect(await status()).toBe(0);
    // The production profile wants TLS, which this server does not have.
    const production = await run("migrate", "down", "--confirm", "test_1", "--env", "production");
    expect(production.code).toBe(6);
    expect(production.stderr).toMatch(/cannot connect to database "test_1".*SSL/);
  });
});

describe("files named -", () => {
  test("a plan goes out on stdout and comes back on stdin, the address of the database too", async () => {
    const database = await cluster.createDatabase();
    const own = { ...env, DATABASE_URL: database.url };
    const plan = await runDb(["migrate", "plan", "--out", "-"], { cwd: folder.path, env: own });
    expect(JSON.parse(plan.stdout)).toMatchObject({ format: 1 });
    const up = await runDb(["migrate", "up", "--plan", "-"], { cwd: folder.path, env: own, input: plan.stdout });
    expect(up.code, up.stderr).toBe(0);
    const status = await runDb(["migrate", "status", "--url-file", "-", "--json"], {
      cwd: folder.path,
      input: `${database.url}\n`,
    });
    expect(JSON.parse(status.stdout)).toMatchObject({ data: { pending: 0 }, target: { database: database.name } });
  });
});

describe("names from older tools", () => {
  test("setup is init, and health has a form for Nagios", async () => {
    const help = await runDb(["setup", "--help"], { cwd: folder.path });
    expect(help.stdout).toContain("db init");
    const nagios = await runDb(["health", "--format", "nagios"], { cwd: folder.path, env });
    expect(nagios.stdout).toMatch(/^POSTGRES (OK|WARNING|CRITICAL) - .* \| checks=\d+ critical=\d+ warnings=\d+\n$/);
    expect(nagios.code).toBe({ OK: 0, WARNING: 1, CRITICAL: 2 }[nagios.stdout.split(" ")[1]!]);
  });
});

describe("signals and pipes", () => {
  test("Ctrl-C ends a command that waits for a lock with 130 within five seconds, and rolls back", async () => {
    const database = await cluster.createDatabase();
    const own = { ...env, DATABASE_URL: database.url };
    const client = await cluster.connect(database.name);
    expect((await runDb(["migrate", "up"], { cwd: folder.path, env: own })).code).toBe(0);
    await client.query("begin");
    await client.query("lock table bills in access exclusive mode");
    const running = startDb(["migrate", "down", "--confirm", database.name], { cwd: folder.path, env: own });
    const blocked = "select count(*)::int as count from pg_locks where not granted";
    const watcher = await cluster.connect();
    for (let waiting = 0; waiting === 0;) waiting = (await watcher.query<{ count: number }>(blocked)).rows[0]!.count;
    const at = performance.now();
    process.kill(running.child.pid!, "SIGINT");
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(130);
    expect(performance.now() - at).toBeLessThan(5_000);
    await client.query("rollback");
    await client.end();
    await watcher.end();
  });

  test("a reader that closes early is no error", async () => {
    const script = `set -o pipefail; "$0" "$1" --help | head -n 1`;
    const child = spawn("bash", ["-c", script, process.execPath, binary], { stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (data: Buffer) => void (stderr += String(data)));
    const code = await new Promise((done) => child.once("close", done));
    expect([code, stderr]).toEqual([0, ""]);
  });
});
