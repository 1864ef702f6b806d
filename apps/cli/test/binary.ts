import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository: string = resolve(fileURLToPath(import.meta.url), "../../../..");
export const binary: string = join(repository, "apps/cli/bin/db.js");
export const example: string = join(repository, "apps/examples/chanuka");
export const built: boolean = existsSync(join(repository, "apps/cli/bundle/main.js"));

// The account that owns nothing on every Unix system.
const nobody = 65_534;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** As an account without rights, where this process is root and may choose. Its own account otherwise. */
  readonly asNobody?: boolean;
  /** As this account, where this process is root: the one a server runs as, so that both own the same files. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
}

/** A running `db`, as its own process group, so that everything it started can be found and ended. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly output: () => string;
  /** Waits until stdout holds `text`; rejects when the process ends first. */
  printed(text: string | RegExp): Promise<string>;
}

/** Starts the real binary with nothing of this machine's environment but PATH. */
export function startDb(
  args: readonly string[],
  { cwd, env = {}, input, timeoutMs = 120_000, asNobody = false, account }: RunOptions,
): Running {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [binary, ...args], {
    cwd,
    env: { PATH: process.env["PATH"]!, HOME: cwd, INIT_CWD: cwd, ...env },
    detached: true,
    ...(asNobody && process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}),
    ...(account ? { uid: account.uid, gid: account.gid } : {}),
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    for (const watch of watchers) watch();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text));
  child.stdin.on("error", () => undefined).end(input);
  const timer = setTimeout(() => killGroup(child), timeoutMs);
  const ended = new Promise<Ended>((done) =>
    child.once("close", (code) => {
      clearTimeout(timer);
      for (const watch of watchers) watch();
      done({ code, stdout, stderr, tookMs: performance.now() - startedAt });
    }),
  );
  return {
    child,
    ended,
    output: () => stdout + stderr,
    printed: (wanted) =>
      new Promise((found, reject) => {
        const watch = (): void => {
          const match =
            typeof wanted === "string" ? (stdout.includes(wanted) ? wanted : undefined) : wanted.exec(stdout)?.[0];
          if (match !== undefined) found(match);
          else if (child.exitCode === null && child.signalCode === null) return;
          else reject(new Error(`ended before it printed ${String(wanted)}:\n${stdout}${stderr}`));
          watchers.delete(watch);
        };
        watchers.add(watch);
        watch();
      }),
  };
}

/** Runs the real binary to its end. */
export function runDb(args: readonly string[], options: RunOptions): Promise<Ended> {
  return startDb(args, options).ended;
}

export function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** An empty folder that a test may fill; `nobody` may read it too. */
export async function emptyFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "db-cli-"));
  await chmod(path, 0o755);
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
