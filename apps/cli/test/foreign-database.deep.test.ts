import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, example, killGroup, repository, runDb, startDb } from "./binary.ts";

const execute = promisify(execFile);
const pagila = join(repository, "../shared/data/postgres/pagila.sql");
// pg_dump reads servers up to its own version.
const client = await execute("pg_dump", ["--version"]).then(
  ({ stdout }) => Number(/(\d+)\./.exec(stdout)?.[1]),
  () => 0,
);
const possible = existsSync(pagila) && client >= 12;
if (!possible) console.warn("skipped: needs pg_dump, psql and the shared pagila.sql");

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let url: string;

async function dump(): Promise<string> {
  const { stdout } = await execute("pg_dump", [url], { maxBuffer: 64 << 20 });
  // Newer clients write a random word here.
  return stdout.replaceAll(/^\\(un)?restrict .*$/gm, "");
}

beforeAll(async () => {
  if (!possible) return;
  folder = await emptyFolder();
  cluster = await startCluster({ version: Math.min(client, 18) });
  url = (await cluster.createDatabase()).url;
  await execute("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", pagila, url], { maxBuffer: 64 << 20 });
  await execute("psql", ["-X", "-q", "-c", "analyze", url]);
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

describe.skipIf(!possible)("a database made by someone else", () => {
  test("is reported on with health, findings, index advice and suggested rules, and stays as it was", async () => {
    const before = await dump();
    const env = { DATABASE_URL: url };
    const running = startDb(["start", "--example", example, "--port", "0"], { cwd: folder.path, env });
    try {
      const address = /http:\S+/.exec(await running.printed(/open +http:\S+/))![0];
      expect((await fetch(`${address}/api/health/database`)).status).toBe(200);
      process.kill(running.child.pid!, "SIGINT");
      const { code, stdout } = await running.ended;
      expect(code).toBe(0);
      expect(stdout).toContain("read-only");
      expect(stdout).not.toContain("✗");
      expect(stdout).toMatch(/✓ Health of every service +\d+ checks/);
      expect(stdout).toMatch(/no rules yet; [1-9]\d* suggested from [1-9]\d* tables/);
      expect(stdout).toMatch(/\d+ recommended, \d+ unused/);
      expect(stdout).toMatch(/^(warn|info|critical) /m);
    } finally {
      killGroup(running.child);
    }
    for (const command of [
      ["health"],
      ["validate", "suggest"],
      ["optimize"],
      ["monitor", "scrape"],
      ["report"],
      ["doctor"],
    ]) {
      const { stdout, code } = await runDb([...command, "--json"], { cwd: folder.path, env });
      expect([0, 4], `${command.join(" ")}: ${stdout}`).toContain(code);
    }
    expect(await dump()).toBe(before);
  });
});
