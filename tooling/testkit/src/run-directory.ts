import { mkdir, mkdtemp, chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  type Account,
  findPostmaster,
  type Guard,
  identify,
  isSameProcess,
  killProcesses,
  type ProcessIdentity,
  sharedDirectory,
  startGuard,
} from "@db/embedded";

/** Where this process keeps its clusters, and what ends them after it. */
export interface RunDirectory {
  readonly path: string;
  readonly guard: Guard;
}

let current: Promise<RunDirectory> | undefined;

/**
 * The directory of this process's clusters. A guard stops and deletes what is left there when the process ends,
 * however it ends; what a guard itself left (a machine that went down) the next process sweeps.
 */
export function runDirectory(account: Account | undefined): Promise<RunDirectory> {
  current ??= prepare(account);
  return current;
}

async function prepare(account: Account | undefined): Promise<RunDirectory> {
  const shared = await sharedDirectory("run", account);
  await sweep(shared);
  const directory = await mkdtemp(path.join(shared, `${process.pid}-`));
  await chmod(directory, 0o755);
  await writeFile(path.join(directory, "owner.json"), JSON.stringify(await identify(process.pid)));
  return { path: directory, guard: startGuard({ mode: "immediate", removeDirectory: directory }) };
}

async function sweep(shared: string): Promise<void> {
  await mkdir(shared, { recursive: true });
  for (const name of await readdir(shared)) {
    const directory = path.join(shared, name);
    const text = await readFile(path.join(directory, "owner.json"), "utf8").catch(() => "");
    const about = await stat(directory).catch(() => undefined);
    // Without an owner it is being made right now, or its maker died within that moment.
    const young = about !== undefined && Date.now() - about.mtimeMs < 60_000;
    if (about === undefined || young) continue;
    if (text !== "" && (await isSameProcess(JSON.parse(text) as ProcessIdentity))) continue;
    for (const cluster of await subdirectories(directory)) {
      for (const server of await subdirectories(cluster)) {
        const left = await findPostmaster(path.join(server, "data"));
        if (left !== undefined) await killProcesses(left.pid);
      }
    }
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function subdirectories(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(directory, entry.name));
}
