import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const program = fileURLToPath(new URL("programs/remove-drafts.ts", import.meta.url));
const running =
  "select count(*)::int as running from pg_stat_activity where query like '%/* remove-drafts */%' and pid <> pg_backend_pid()";
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
  const client = await cluster.connect();
  await client.query("create table drafts as select generate_series(1, 3) as id");
  await client.end();
});
afterAll(() => cluster?.stop());

interface Ran {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program as a process of its own; `when` is called with what it has said on stderr so far. */
async function run(
  argv: readonly string[],
  {
    url = cluster.primary.url,
    when,
  }: { url?: string; when?: (said: string, child: ChildProcessByStdio<null, Readable, Readable>) => void } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, ["--conditions=@db/source", program, ...argv], {
    env: { PATH: process.env["PATH"], ...(url === "" ? {} : { DATABASE_URL: url }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += String(data)));
  child.stderr.on("data", (data: Buffer) => {
    stderr += String(data);
    when?.(stderr, child);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

function linesOf(stderr: string): Record<string, unknown>[] {
  return stderr
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : []));
}

async function nothingRuns(): Promise<void> {
  const client = await cluster.connect();
  await expect.poll(async () => (await client.query(running)).rows[0], { timeout: 20_000 }).toEqual({ running: 0 });
  await client.end();
}

describe("a script as a process", () => {
  test("takes its argument and flags, answers on stdout and ends with 0", async () => {
    const ran = await run(["drafts", "-k", "2", "--tag", "a", "--tag=b", "--no-archive"]);
    expect(ran).toMatchObject({ code: 0, stdout: "counted drafts\nremove-drafts: 3 drafts\n" });
    expect(linesOf(ran.stderr)).toMatchObject([{ level: "warn", script: "remove-drafts", msg: "cleaned up" }]);
  });

  test("puts one JSON object on stdout and nothing else", async () => {
    const { code, stdout } = await run(["drafts", "--json", "--keep", "2", "--tag", "a", "--archive"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      script: "remove-drafts",
      success: true,
      exitCode: 0,
      dryRun: false,
      data: { drafts: 3, keep: "2", tag: ["a"], archive: true },
      error: null,
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
      durationMs: expect.any(Number) as number,
    });
  });

  test("shows its help, whatever else is said, and connects to nothing", async () => {
    const { code, stdout, stderr } = await run(["--help", "--dry-run"], { url: "" });
    expect([code, stderr]).toEqual([0, ""]);
    for (const part of [
      "remove-drafts: Removes drafts that nobody touched",
      "Usage: remove-drafts <table> [flags]",
      /<table> +where the drafts are/,
      /-k, --keep <count> +how many to keep/,
      /--mode <value> +how \(count, hang, fail, break\)/,
      /-n, --dry-run/,
      /-v, --verbose/,
      /--timeout <duration>/,
      "Exit codes: 0 ok, 1 failure, 2 usage, 6 cannot connect, 7 timed out, 130 and 143 on a signal.",
    ]) {
      expect(stdout).toMatch(part);
    }
  });

  test("says in a dry run what it would do, and connects to nothing", async () => {
    const { code, stdout } = await run(["drafts", "-n"], { url: "" });
    expect([code, stdout]).toEqual([0, "remove-drafts: would count drafts (dry run)\n"]);
  });

  test.each([
    [[], "<table> is missing: where the drafts are"],
    [["drafts", "more"], 'unexpected argument "more"'],
    [["drafts", "--kep", "2"], "unknown option '--kep'"],
    [["drafts", "--keep"], "option '-k, --keep <value>' argument missing"],
    [["drafts", "--mode", "soft"], '--mode is "soft"'],
    [["drafts", "--timeout", "soon"], "soon"],
    [["drafts", "--timeout", "0"], '--timeout is "0"'],
  ])("refuses %j with 2 and says why", async (argv, message) => {
    const { code, stdout, stderr } = await run(argv);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  test("writes the whole log and its progress as JSON lines with --verbose", async () => {
    const { stderr } = await run(["drafts", "--verbose"]);
    const lines = linesOf(stderr).filter(({ service }) => service === undefined);
    expect(lines.map(({ level, msg }) => `${String(level)} ${String(msg)}`)).toEqual([
      "info connected",
      "info counted",
      "warn cleaned up",
    ]);
    expect(lines[1]).toMatchObject({ done: 2, total: 2, script: "remove-drafts" });
    expect(String(lines[0]!["time"])).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test("is ended by its time-out with 7, its statement and its clean-up too", async () => {
    const { code, stdout, stderr } = await run(["drafts", "--mode", "hang", "--timeout", "1500ms", "--json"]);
    expect(code).toBe(7);
    expect(JSON.parse(stdout)).toMatchObject({ success: false, exitCode: 7, error: { code: "SCRIPT_TIMEOUT" } });
    expect(stderr).toContain("cleaned up");
    await nothingRuns();
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("is ended by %s with %i, its statement and its clean-up too", async (name, expected) => {
    let sent = false;
    const { code, stderr } = await run(["drafts", "--mode", "hang"], {
      when: (said, child) => {
        if (sent || !said.includes("hanging")) return;
        sent = true;
        child.kill(name);
      },
    });
    expect(code, stderr).toBe(expected);
    expect(stderr).toContain(`remove-drafts failed: interrupted by ${name}`);
    expect(stderr).toContain("cleaned up");
    await nothingRuns();
  });

  test("ends with 1 when it says so itself, and when it breaks, without a secret", async () => {
    const failed = await run(["drafts", "--mode", "fail"]);
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain("warning: odd\nremove-drafts failed: 2 rows are left");
    const json = JSON.parse((await run(["drafts", "--mode", "fail", "--json"])).stdout) as object;
    expect(json).toMatchObject({ success: false, data: { left: "2" }, warnings: ["odd"], error: null });
    const broken = await run(["drafts", "--mode", "break", "--json"]);
    expect(broken.code).toBe(1);
    expect(JSON.parse(broken.stdout)).toMatchObject({ error: { message: "cannot reach postgres://app:***@host/app" } });
    expect(broken.stdout + broken.stderr).not.toContain("secret");
  });

  test("ends with 6 when nothing answers, and with 2 when no database is named", async () => {
    const away = await run(["drafts"], { url: "postgres://app:secret@127.0.0.1:1/app" });
    expect(away.code).toBe(6);
    expect(away.stderr).not.toContain("secret");
    const none = await run(["drafts"], { url: "" });
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("DATABASE_URL");
  });
});
