import { readFile, readlink, realpath, rm } from "node:fs/promises";
import path from "node:path";
import {
  childrenOf,
  commandOf,
  identify,
  isAlive,
  isSameProcess,
  type ProcessIdentity,
  startTimeMs,
} from "./process-identity.ts";

/** What a server writes into its postmaster.pid. */
export interface PostmasterFile {
  readonly pid: number;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly port: number;
  /** `starting`, `ready`, `standby` or `stopping`; empty before the server wrote it. */
  readonly status: string;
  /** The System V shared memory segment, when there is one. */
  readonly sharedMemoryId: number | undefined;
}

/**
 * Reads postmaster.pid of a data directory; undefined when there is none or it is not complete enough to hold a pid.
 * @see src/include/utils/pidfile.h of PostgreSQL: lines are pid, directory, start, port, socket, address, shmem, status
 */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(path.join(dataDirectory, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  // A negative pid marks a single-user server.
  const pid = Math.abs(Number.parseInt(lines[0] ?? "", 10));
  if (!Number.isSafeInteger(pid) || pid === 0) return undefined;
  const shared = Number.parseInt((lines[6] ?? "").trim().split(/\s+/)[1] ?? "", 10);
  return {
    pid,
    startedAt: Number.parseInt(lines[2] ?? "", 10) || 0,
    port: Number.parseInt(lines[3] ?? "", 10) || 0,
    status: (lines[7] ?? "").trim(),
    sharedMemoryId: Number.isSafeInteger(shared) ? shared : undefined,
  };
}

/**
 * The server that runs on a data directory, or undefined. A process with the id in postmaster.pid counts only when it
 * is the one `recorded`, or a postgres that works in this directory or began when the file says: an id may have gone
 * to another program since.
 */
export async function findPostmaster(
  dataDirectory: string,
  recorded?: ProcessIdentity,
): Promise<ProcessIdentity | undefined> {
  if (recorded !== undefined && recorded.startedAt !== "" && (await isSameProcess(recorded))) return recorded;
  const file = await readPostmasterFile(dataDirectory);
  const identity = file === undefined ? undefined : await identify(file.pid);
  if (file === undefined || identity === undefined) return undefined;
  const command = await commandOf(identity.pid);
  if (!/postgres|postmaster/i.test(command)) return undefined;
  if (process.platform === "win32" || command.includes(dataDirectory)) return identity;
  const [works, here] = await Promise.all([
    readlink(`/proc/${identity.pid}/cwd`).catch(() => ""),
    realpath(dataDirectory).catch(() => dataDirectory),
  ]);
  if (works === here) return identity;
  const startedMs = await startTimeMs(identity.pid);
  // The file's time is taken a moment after the process began, by a clock that may have been set meanwhile.
  return startedMs !== undefined && Math.abs(startedMs - file.startedAt * 1_000) < 5_000 ? identity : undefined;
}

/**
 * Removes a postmaster.pid whose server is gone while its id belongs to another program: PostgreSQL would take that
 * program for its server and refuse to start. Called when `findPostmaster` found none.
 */
export async function clearStaleFile(dataDirectory: string): Promise<void> {
  const file = await readPostmasterFile(dataDirectory);
  if (file !== undefined && isAlive(file.pid)) await rm(path.join(dataDirectory, "postmaster.pid"), { force: true });
}

/** Sends a signal to a server; nothing happens when it has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended in between.
  }
}

/**
 * Stops the server and every child in their tracks, so that sockets stay open and nothing answers. Children forked
 * while the list was read are found by reading it again once the server itself cannot fork.
 */
export async function freezeProcesses(pid: number): Promise<readonly number[]> {
  signalProcess(pid, "SIGSTOP");
  const children = await childrenOf(pid);
  for (const child of children) signalProcess(child, "SIGSTOP");
  return children;
}

/** Lets a frozen server go on. */
export async function thawProcesses(pid: number): Promise<void> {
  for (const child of await childrenOf(pid)) signalProcess(child, "SIGCONT");
  signalProcess(pid, "SIGCONT");
}

/** Ends the server and its children at once, as a power failure would. Resolves when none is left. */
export async function killProcesses(pid: number): Promise<void> {
  const children = await freezeProcesses(pid);
  for (const process of [...children, pid]) signalProcess(process, "SIGKILL");
  await waitForEnd([...children, pid], 10_000);
}

/** Waits until none of the processes lives. @returns false when some still do after `timeoutMs` */
export async function waitForEnd(pids: readonly number[], timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = await Promise.all(pids.map(async (pid) => isAlive(pid) && (await identify(pid)) !== undefined));
    if (!left.includes(true)) return true;
    if (Date.now() > deadline || signal?.aborted) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
