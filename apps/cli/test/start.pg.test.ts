import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { startCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, type Ended, example, killGroup, runDb, startDb } from "./binary.ts";

let folder: Awaited<ReturnType<typeof emptyFolder>>;
const small = ["start", "--example", example, "--scale", "0.01", "--port", "0"];
const start = (...flags: string[]): Promise<Ended> => runDb([...small, ...flags], { cwd: folder.path });

beforeAll(async () => {
  folder = await emptyFolder();
});
afterAll(() => folder?.remove());

function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Starts, waits for the address, asks it how the database is, and hands over to `then`; always ends the group. */
async function whileRunning(then: (url: string) => Promise<void>): Promise<Ended> {
  const running = startDb(small, { cwd: folder.path });
  try {
    const url = /http:\S+/.exec(await running.printed(/open +http:\S+/))![0];
    const response = await fetch(`${url}/api/health/database`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: expect.stringMatching(/pass|warn/) as string });
    await then(url);
    const stoppedAt = performance.now();
    process.kill(running.child.pid!, "SIGINT");
    const ended = await running.ended;
    expect(performance.now() - stoppedAt).toBeLessThan(10_000);
    expect(groupLives(running.child.pid!)).toBe(false);
    return ended;
  } finally {
    killGroup(running.child);
  }
}

describe("db start in a folder of its own", () => {
  test("does the whole main job, serves it, and stops on Ctrl-C with nothing left running", async () => {
    const { code, stdout, stderr } = await whileRunning(async () => {
      const { stdout: health, code: healthCode } = await runDb(["health", "--json"], { cwd: folder.path });
      expect([0, 4]).toContain(healthCode);
      expect(JSON.parse(health)).toMatchObject({ command: "health", target: { database: "chanuka" }, error: null });
      const second = await start();
      expect(second.code).toBe(7);
      expect(second.stderr).toMatch(/^error: another process \(pid \d+\) runs the database in .*\.db/m);
    });
    expect(stdout).not.toContain("✗");
    expect(stdout).toMatch(/tables with [\d,]+ rows equal/);
    expect(stdout).toMatch(/fired after .* and cleared/);
    expect([code, stderr.includes("error:")]).toEqual([0, false]);
  });

  test("keeps the data: a second start takes no new backup and loads nothing", async () => {
    const { code, stdout } = await whileRunning(async () => undefined);
    expect(code).toBe(0);
    expect(stdout).toContain("data kept from before");
    expect(stdout).toMatch(/– Example data +already loaded/);
  });

  test("refuses data of another PostgreSQL version, names both and leaves it as it is", async () => {
    const file = join(folder.path, ".db/primary/data/PG_VERSION");
    const version = await readFile(file, "utf8");
    await writeFile(file, "17\n");
    const { code, stderr } = await start();
    await writeFile(file, version);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*17.*18/m);
    expect(stderr).toMatch(/--pg-version|--fresh|fresh/);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect((await whileRunning(async () => undefined)).stdout).toMatch(/– Example data +already loaded/);
  });

  test("takes a free port when the usual one is taken", async () => {
    const taken = createServer();
    // Whoever has it, it is taken from now on.
    await new Promise<void>((done) => taken.once("error", () => done()).listen(8787, "127.0.0.1", () => done()));
    const running = startDb(small.slice(0, -2), { cwd: folder.path });
    try {
      const url = /http:\S+/.exec(await running.printed(/open +http:\S+/))![0];
      expect(url).not.toContain("8787");
      process.kill(running.child.pid!, "SIGINT");
      expect((await running.ended).code).toBe(0);
    } finally {
      killGroup(running.child);
      taken.close();
    }
  });

  test("says which port is taken and what to do when one was asked for", async () => {
    const taken = await new Promise<Server>((listening) => {
      const server = createServer().listen(0, "127.0.0.1", () => listening(server));
    });
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await runDb([...small.slice(0, -1), String(port)], { cwd: folder.path });
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`port ${port}`);
    expect(stderr).toMatch(/--port/);
  });

  test("a data directory that lost its parts is set aside, not deleted, or refused", async () => {
    const control = join(folder.path, ".db/primary/data/global/pg_control");
    await rename(control, `${control}.gone`);
    const { code, stderr } = await start();
    await rename(`${control}.gone`, control);
    expect(code).toBe(1);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect((await whileRunning(async () => undefined)).stdout).toMatch(/– Example data +already loaded/);
  });
});

describe("Ctrl-C in the middle of a first run", () => {
  test("ends with 130 within five seconds, and the next start goes on", async () => {
    const other = await emptyFolder();
    const running = startDb(small, { cwd: other.path });
    try {
      await running.printed("Schema migrations");
      const at = performance.now();
      process.kill(running.child.pid!, "SIGINT");
      const { code, stderr } = await running.ended;
      expect(code).toBe(130);
      expect(performance.now() - at).toBeLessThan(5_000);
      expect(stderr).toContain("Run it again: what was done is kept.");
      expect(groupLives(running.child.pid!)).toBe(false);
      const again = startDb(small, { cwd: other.path });
      await again.printed("ready after");
      process.kill(again.child.pid!, "SIGINT");
      expect((await again.ended).stdout).toContain("data kept from before");
    } finally {
      killGroup(running.child);
      await other.remove();
    }
  });
});

describe("a folder that cannot be written", () => {
  test("ends a backup into it with one message that names it", async () => {
    const locked = await emptyFolder();
    await chmod(locked.path, 0o555);
    await using cluster = await startCluster();
    const env = { DATABASE_URL: cluster.primary.url };
    const { code, stderr } = await runDb(["backup", "run"], { cwd: locked.path, env, asNobody: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^error: .*${locked.path}.*\n  Choose a place`, "m"));
    await locked.remove();
  });

  test("ends start and dev with one message that names it", async () => {
    const locked = await emptyFolder();
    await chmod(locked.path, 0o555);
    for (const command of [small, ["dev"]]) {
      const { code, stderr } = await runDb(command, { cwd: locked.path, asNobody: true });
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(new RegExp(`^error: .*${locked.path}.*`, "m"));
      expect(stderr.match(/^error: /gm)).toHaveLength(1);
      expect(stderr).not.toMatch(/\n\s+at .*:\d+:\d+/);
    }
    await chmod(locked.path, 0o755);
    await locked.remove();
  });
});
