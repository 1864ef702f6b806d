import { spawn } from "node:child_process";
import { constants } from "node:os";
import { AbortedError } from "@db/core";
import type { Account } from "./account.ts";

/** What a finished program left. */
export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a server program. */
export interface ProgramOptions {
  /** Undefined keeps the account of this process. */
  readonly account?: Account | undefined;
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** True passes the caller's environment on: for npm, whose settings stand there. */
  readonly inheritEnvironment?: boolean;
  /** Windows starts command files only through a shell. */
  readonly shell?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

const windows = process.platform === "win32";

/**
 * The environment of every server program: messages in English, times in UTC and none of the caller's PG* variables,
 * which would redirect it. Windows programs need their own variables and keep the caller's.
 */
export function serverEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv | undefined {
  if (windows) return undefined;
  return { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C", LANG: "C", TZ: "UTC", ...extra };
}

/** Spawn options that drop to `account`. The working directory is one that every account may enter. */
export function asAccount(account: Account | undefined): { uid?: number; gid?: number; cwd?: string } {
  return {
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
    ...(windows ? {} : { cwd: "/" }),
  };
}

/** Runs a program to its end; a non-zero exit is a result, not an error. Output is kept up to 1 MB. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { account, input = "", signal, timeoutMs = 120_000 } = options;
  return new Promise((resolve, reject) => {
    const env = options.inheritEnvironment ? undefined : serverEnvironment(options.environment);
    const child = spawn(file, args, {
      ...asAccount(account),
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
      ...(env === undefined ? {} : { env }),
      stdio: "pipe",
      shell: options.shell ?? false,
      windowsHide: true,
    });
    let stdout = "";
    let stderr = "";
    const limit = 1024 * 1024;
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout = (stdout + text).slice(-limit)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-limit)));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const abort = (): void => void child.kill("SIGKILL");
    const timer = setTimeout(abort, timeoutMs);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("close", (code, name) => {
      settle();
      if (signal?.aborted) reject(new AbortedError(`${file} was aborted`, { cause: signal.reason }));
      else resolve({ exitCode: code ?? 128 + (name === null ? 0 : constants.signals[name]), stdout, stderr });
    });
  });
}
