import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, killGroup, repository } from "./binary.ts";

// `npm start` in a project of its own: the launcher is copied, everything that is large is linked.
let project: Awaited<ReturnType<typeof emptyFolder>>;
const prepared =
  existsSync(join(repository, "node_modules/.installed")) && existsSync(join(repository, ".cache/built"));
const possible = prepared && process.platform === "linux";
if (!possible) console.warn("skipped: needs Linux, and a clone that `npm run setup` has built");

beforeAll(async () => {
  if (!possible) return;
  project = await emptyFolder();
  const options = { recursive: true, preserveTimestamps: true };
  for (const name of ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ".cache/built", "tooling/launch"])
    await cp(join(repository, name), join(project.path, name), options);
  for (const name of ["apps", "packages", "node_modules"])
    await symlink(join(repository, name), join(project.path, name));
  for (const name of await readdir(join(repository, "tooling"))) {
    const link = join(project.path, "tooling", name);
    if (!existsSync(link)) await symlink(join(repository, "tooling", name), link);
  }
  await mkdir(join(project.path, "home"));
});
afterAll(async () => {
  if (!project) return;
  for (const { pid } of await processes()) process.kill(pid, "SIGKILL");
  await project.remove();
});

interface Launched {
  readonly npm: number;
  readonly started: number;
  output(): string;
  readonly ended: Promise<number | null>;
  kill(): void;
}

function npmStart(): Launched {
  const child = spawn("npm", ["start", "--", "--scale", "0.05", "--port", "0"], {
    cwd: project.path,
    env: { PATH: process.env["PATH"]!, HOME: join(project.path, "home"), TERM: "dumb" },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => void (output += text));
  return {
    npm: child.pid!,
    started: performance.now(),
    output: () => output,
    ended: new Promise((done) => child.once("exit", done)),
    kill: () => killGroup(child),
  };
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

// Processes whose working directory is the project: npm, the launcher, and the command line.
async function processes(): Promise<readonly { readonly pid: number; readonly command: string }[]> {
  const found = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = await readFile(`/proc/${entry}/environ`, "utf8").catch(() => "");
    if (!environment.includes(`HOME=${project.path}/home`)) continue;
    const command = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    found.push({ pid: Number(entry), command });
  }
  return found;
}

async function killOne(part: RegExp): Promise<boolean> {
  const found = (await processes()).find(({ command }) => part.test(command));
  if (!found) return false;
  process.kill(found.pid, "SIGKILL");
  return true;
}

/** Starts until healthy; fails with everything that was printed when that does not come. */
async function startHealthy(): Promise<Launched> {
  const launched = npmStart();
  for (;;) {
    const url = /open +(http:\S+)/.exec(launched.output())?.[1];
    if (url !== undefined) {
      const response = await fetch(`${url}/api/health/database`);
      expect(response.status, launched.output()).toBe(200);
      expect(launched.output()).toContain("ready after");
      return launched;
    }
    const code = await Promise.race([launched.ended, pause(100).then(() => undefined)]);
    if (code !== undefined || performance.now() - launched.started > 120_000)
      throw new Error(`not healthy (exit code ${code}):\n${launched.output()}`);
  }
}

async function stop(launched: Launched): Promise<void> {
  process.kill(-launched.npm, "SIGINT");
  await launched.ended;
  await goneWithin(20_000);
}

async function goneWithin(ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    const left = await processes();
    if (left.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`still running: ${left.map(({ command }) => command).join("; ")}`);
    await pause(100);
  }
}

const parts = {
  "the whole group": (launched: Launched) => launched.kill(),
  "only npm": (launched: Launched) => void process.kill(launched.npm, "SIGKILL"),
  "only the launcher": () => killOne(/tooling\/launch\/start\.mjs|launch.start\.mjs/),
  "only the command line": () => killOne(/apps\/cli\/bin\/db\.js/),
} as const;

describe.skipIf(!possible)("npm start killed with SIGKILL", () => {
  // A moment is a share of the time that a whole run takes.
  const moments = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.97];
  const kinds = Object.entries(parts);

  test("is healthy again at once when started again, whatever was killed and whenever in a first run", async () => {
    const whole = await startHealthy();
    const firstRunMs = performance.now() - whole.started;
    await stop(whole);
    const told: string[] = [];
    for (const [index, moment] of moments.entries()) {
      await rm(join(project.path, ".db"), { recursive: true, force: true });
      const [name, kill] = kinds[index % kinds.length]!;
      const launched = npmStart();
      await pause(moment * firstRunMs);
      await kill(launched);
      const again = await startHealthy();
      told.push(
        `${Math.round(moment * firstRunMs)} ms, ${name}: healthy ${Math.round(performance.now() - again.started)} ms after`,
      );
      await stop(again);
    }
    console.log(told.join("\n"));
  });

  test("is healthy again at once when started again, whatever was killed and whenever in a second run", async () => {
    const whole = await startHealthy();
    const runMs = performance.now() - whole.started;
    await stop(whole);
    const told: string[] = [];
    for (const [index, moment] of moments.entries()) {
      const [name, kill] = kinds[index % kinds.length]!;
      const launched = npmStart();
      // Up to a third after it was ready: the running service is killed too.
      await pause(moment * 1.3 * runMs);
      await kill(launched);
      const again = await startHealthy();
      expect(again.output()).toMatch(/data kept from before/);
      told.push(
        `${Math.round(moment * 1.3 * runMs)} ms, ${name}: healthy ${Math.round(performance.now() - again.started)} ms after`,
      );
      await stop(again);
    }
    console.log(told.join("\n"));
  });
});
