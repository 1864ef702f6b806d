import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * One process, told apart from a later one with the same id by when it started. `startedAt` is an opaque text: boot
 * and clock ticks on Linux, a date elsewhere; empty when the system does not tell.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

/** True while a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The identity of a living process, undefined when there is none. A zombie counts as ended. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  if (process.platform === "linux") {
    const stat = await processStat(pid);
    if (stat === undefined || stat.state === "Z") return undefined;
    return { pid, startedAt: `${await bootId()}:${stat.startTicks}` };
  }
  if (process.platform === "win32") return { pid, startedAt: "" };
  const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.trim() === "" ? undefined : { pid, startedAt: stdout.trim() };
}

/** True when exactly this process still lives. */
export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== undefined && (identity.startedAt === "" || now.startedAt === identity.startedAt);
}

/** The direct children of a process. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  if (process.platform === "win32") return [];
  if (process.platform !== "linux") {
    const { stdout } = await run("ps", ["-axo", "pid=,ppid="]).catch(() => ({ stdout: "" }));
    return stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .filter(([, parent]) => parent === pid)
      .map(([child]) => child as number);
  }
  const children: number[] = [];
  const names = await readdir("/proc");
  await Promise.all(
    names
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => {
        const stat = await processStat(Number(name));
        if (stat?.parent === pid) children.push(Number(name));
      }),
  );
  return children;
}

/** The command line of a process as far as the system tells it, arguments joined by spaces. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform === "linux") {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return text.replaceAll("\0", " ").trim();
  }
  if (process.platform === "win32") {
    const { stdout } = await run("tasklist", ["/fi", `PID eq ${pid}`, "/fo", "csv", "/nh"]).catch(() => ({
      stdout: "",
    }));
    return stdout.trim();
  }
  const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.trim();
}

/** When a process began, milliseconds since the epoch, to about a second; undefined where the system does not tell. */
export async function startTimeMs(pid: number): Promise<number | undefined> {
  if (process.platform === "win32") return undefined;
  if (process.platform === "linux") {
    const stat = await processStat(pid);
    const boot = /^btime (\d+)$/m.exec(await readFile("/proc/stat", "utf8").catch(() => ""));
    // Ticks are hundredths of a second on every Linux that Node runs on.
    return stat === undefined || boot === null ? undefined : Number(boot[1]) * 1_000 + Number(stat.startTicks) * 10;
  }
  const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  const time = Date.parse(stdout.trim());
  return Number.isNaN(time) ? undefined : time;
}

interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly startTicks: string;
}

async function processStat(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field, the name, may hold spaces and parentheses: count from its end.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = fields;
  const startTicks = fields[19];
  if (state === undefined || parent === undefined || startTicks === undefined) return undefined;
  return { state, parent: Number(parent), startTicks };
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}
