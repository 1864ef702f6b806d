import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { AbortedError, messageOf } from "@db/core";
import type { Account } from "./account.ts";
import { type Binaries, programPath } from "./binaries.ts";
import { ClusterError } from "./errors.ts";
import { killProcesses, readPostmasterFile, waitForEnd } from "./postmaster.ts";
import { asAccount, runProgram, serverEnvironment } from "./program.ts";
import type { Settings } from "./settings.ts";

/** One start of a server. */
export interface LaunchOptions {
  readonly binaries: Binaries;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly account: Account | undefined;
  readonly arguments: Settings;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Hears the process id the moment the process exists. */
  readonly onProcess: (pid: number) => void;
}

/**
 * Starts a server and waits until it accepts connections, told by the status line of its postmaster.pid: no client is
 * needed. A server that does not get there in time is ended.
 * @returns its process id
 * @throws {ClusterError} with the lines it wrote, {AbortedError}
 */
export async function launchServer(options: LaunchOptions): Promise<number> {
  const { dataDirectory, timeoutMs, signal } = options;
  const log = await open(options.logFile, "a", 0o600);
  const logOffset = (await log.stat()).size;
  if (options.account !== undefined) await log.chown(options.account.uid, options.account.gid);
  const started = Date.now();
  let ended: string | undefined;
  let pid: number | undefined;
  try {
    if (process.platform === "win32") pid = await launchOnWindows(options);
    else {
      const env = serverEnvironment(options.environment);
      const child = spawn(
        programPath(options.binaries, "postgres"),
        ["-D", dataDirectory, ...flags(options.arguments)],
        {
          ...asAccount(options.account),
          ...(env === undefined ? {} : { env }),
          // A Ctrl-C in the terminal must reach this process only, which then stops its servers in order.
          detached: true,
          stdio: ["ignore", log.fd, log.fd],
        },
      );
      child.once("error", (error) => (ended = messageOf(error)));
      child.once("exit", (code, name) => (ended = name === null ? `exit code ${code}` : name));
      child.unref();
      pid = child.pid;
    }
  } finally {
    await log.close();
  }
  if (pid !== undefined) options.onProcess(pid);
  const deadline = started + timeoutMs;
  for (;;) {
    const file = await readPostmasterFile(dataDirectory);
    if (ended !== undefined) throw await startFailed(ended, options, logOffset);
    if (pid !== undefined && file?.pid === pid && (file.status === "ready" || file.status === "standby")) {
      return pid;
    }
    if (signal?.aborted || Date.now() > deadline) {
      // Let it end in order when it can: what it recovered so far is then not done twice.
      if (pid !== undefined) await endServer(pid);
      if (signal?.aborted) throw new AbortedError("the start of the server was aborted", { cause: signal.reason });
      throw await startFailed(`not ready after ${Date.now() - started} ms`, options, logOffset);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function endServer(pid: number): Promise<void> {
  try {
    process.kill(pid, "SIGINT");
  } catch {
    return;
  }
  if (!(await waitForEnd([pid], 5_000))) await killProcesses(pid);
}

// pg_ctl drops the administrator's rights, which the server refuses to run with.
async function launchOnWindows(options: LaunchOptions): Promise<number | undefined> {
  const text = flags(options.arguments)
    .map((part) => `"${part}"`)
    .join(" ");
  await runProgram(
    programPath(options.binaries, "pg_ctl"),
    ["start", "-W", "-D", options.dataDirectory, "-l", options.logFile, "-o", text],
    { timeoutMs: options.timeoutMs },
  );
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const file = await readPostmasterFile(options.dataDirectory);
    if (file !== undefined) return file.pid;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

function flags(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [
    "-c",
    `${name}=${typeof value === "boolean" ? (value ? "on" : "off") : value}`,
  ]);
}

async function startFailed(reason: string, options: LaunchOptions, from: number): Promise<ClusterError> {
  const log = await readLogFrom(options.logFile, from);
  const line = log.split("\n").findLast((text) => /(FATAL|PANIC|ERROR|could not)/.test(text)) ?? "";
  const said = line.replace(/^.*?(?=FATAL|PANIC|ERROR)/, "").trim();
  return new ClusterError(
    `the server of ${options.dataDirectory} did not start (${reason})${said === "" ? "" : `: ${said}`}`,
    { log, hint: hintFor(log, options) },
  );
}

function hintFor(log: string, options: LaunchOptions): string {
  const port = String(options.arguments["port"]);
  if (/Address already in use/.test(log)) return `Port ${port} is taken: choose another, or let one be chosen.`;
  if (/could not bind .*Permission denied/.test(log)) return `Choose a port above 1023 instead of ${port}.`;
  if (/No space left on device/.test(log)) return "Free some disk space.";
  if (/unrecognized configuration parameter|invalid value for parameter/.test(log)) return "Correct that setting.";
  return `Read the end of ${options.logFile}.`;
}

/** The lines of a log from a byte on, the last 64 kB at most. A log cut shorter since is read from its start. */
export async function readLogFrom(logFile: string, from: number): Promise<string> {
  const all = await readFile(logFile).catch(() => Buffer.alloc(0));
  return all
    .subarray(from > all.length ? 0 : from)
    .subarray(-64 * 1024)
    .toString("utf8");
}
