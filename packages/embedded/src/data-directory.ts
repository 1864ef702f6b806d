import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import type { Account } from "./account.ts";
import { type Binaries, programPath } from "./binaries.ts";
import { ClusterError, DirectoryError } from "./errors.ts";
import { runProgram } from "./program.ts";
import { canReach } from "./reach.ts";

/** What every new data directory is made with. */
export interface InitOptions {
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly username: string;
  readonly password: string;
  /** False skips waiting for the disk. */
  readonly durable: boolean;
  /** More arguments for initdb, `--wal-segsize=1`. */
  readonly arguments?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs initdb: UTF-8, data checksums, scram-sha-256 for every TCP connection, sorting by code point so that results
 * are the same on every machine.
 * @throws {ClusterError} with what initdb wrote
 */
export async function initializeData(dataDirectory: string, options: InitOptions): Promise<void> {
  const { binaries, account, username, password, durable, signal } = options;
  const secrets = await mkdtemp(path.join(path.dirname(dataDirectory), ".init-"));
  try {
    const passwordFile = path.join(secrets, "password");
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account !== undefined) {
      await chown(passwordFile, account.uid, account.gid);
      await chown(secrets, account.uid, account.gid);
    }
    for (const locale of localeArguments(binaries.major)) {
      await makeServerDirectory(dataDirectory, account);
      const result = await runProgram(
        programPath(binaries, "initdb"),
        [
          `--pgdata=${dataDirectory}`,
          `--username=${username}`,
          `--pwfile=${passwordFile}`,
          "--encoding=UTF8",
          "--auth=scram-sha-256",
          "--data-checksums",
          ...locale,
          ...(durable ? [] : ["--no-sync"]),
          ...(options.arguments ?? []),
        ],
        { account, signal },
      );
      if (result.exitCode === 0) return;
      if (/locale/.test(result.stderr) && locale.includes("--locale=C.UTF-8")) {
        await rm(dataDirectory, { recursive: true, force: true });
        continue;
      }
      throw initFailed(dataDirectory, result.stderr);
    }
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
}

function localeArguments(major: number): readonly (readonly string[])[] {
  // From 17 the server brings C.UTF-8 itself; before, not every system has it.
  if (major >= 17) return [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]];
  return process.platform === "win32" ? [["--locale=C"]] : [["--locale=C.UTF-8"], ["--locale=C"]];
}

function initFailed(dataDirectory: string, output: string): ClusterError {
  const line =
    output.split("\n").find((text) => /error|fatal|could not/i.test(text)) ?? output.trim().split("\n").at(-1);
  const hint = /look up effective user ID/.test(output)
    ? "Give the account of this process a name (an entry in /etc/passwd): initdb needs one."
    : /No space left/.test(output)
      ? "Free some disk space, about 60 MB per cluster."
      : undefined;
  return new ClusterError(`initdb failed in ${dataDirectory}: ${line}`, {
    log: output,
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * Makes an empty directory that the server's account owns, mode 0700.
 * @throws {DirectoryError} when it cannot be made, or the account cannot reach it
 */
export async function makeServerDirectory(directory: string, account: Account | undefined): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new DirectoryError(`cannot write ${directory}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
      hint: "Choose a directory that you may write to.",
    });
  }
  if (account === undefined) return;
  await chmod(directory, 0o700);
  await chown(directory, account.uid, account.gid);
  if (!(await canReach(directory, account, "write"))) {
    throw new DirectoryError(`the account ${account.name}, which runs the server, cannot enter ${directory}`, {
      hint: "Choose a directory that every account may enter, not one below a home directory with mode 700.",
    });
  }
}

/** The major version that made a data directory; undefined when it is none. */
export async function dataMajorVersion(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(path.join(dataDirectory, "PG_VERSION"), "utf8").catch(() => "");
  const major = Number.parseInt(text, 10);
  return Number.isSafeInteger(major) ? major : undefined;
}

/**
 * Writes a file so that after a crash it is there whole or not at all. Root gives it to the owner of its directory, who
 * must be able to go on with it as a user. Not `durable`, it is whole only as long as the machine does not crash.
 */
export async function writeFileDurably(
  file: string,
  text: string,
  mode: number = 0o600,
  durable: boolean = true,
): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = await open(temporary, "w", mode);
  try {
    await handle.writeFile(text);
    const owner = await foreignOwner(path.dirname(file));
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    if (durable) await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  if (durable) await syncDirectory(path.dirname(file));
}

/** The owner of a directory, where this process is root and the directory is not root's. */
async function foreignOwner(directory: string): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(directory);
  return uid === 0 ? undefined : { uid, gid };
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open directories; it writes the name with the file.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a file of the server's own: owned by its account, mode 0600. */
export async function writeServerFile(file: string, text: string, account: Account | undefined): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
  if (account !== undefined) await chown(file, account.uid, account.gid);
}

/** Gives a data directory, its tablespaces and a linked WAL directory to the server's account, mode 0700. */
export async function chownTree(dataDirectory: string, account: Account | undefined): Promise<void> {
  if (account === undefined) return;
  const links = [path.join(dataDirectory, "pg_wal")];
  const tablespaces = path.join(dataDirectory, "pg_tblspc");
  for (const name of await readdir(tablespaces).catch(() => [])) links.push(path.join(tablespaces, name));
  const targets = await Promise.all(links.map((link) => realpath(link).catch(() => dataDirectory)));
  const trees = [...new Set([dataDirectory, ...targets])];
  const { exitCode, stderr } = await runProgram("chown", ["-R", `${account.uid}:${account.gid}`, ...trees]);
  if (exitCode !== 0) {
    throw new DirectoryError(`could not give ${dataDirectory} to ${account.name}: ${stderr.trim().split("\n")[0]}`, {
      hint: "Copy the data to a file system that keeps owners.",
    });
  }
  await chmod(dataDirectory, 0o700);
}

/** The file that says a cluster is complete: written last, so what lacks it was never finished. */
const completionFile = "cluster.json";

/** True when the directory holds a cluster that was made to the end. */
export async function isComplete(directory: string): Promise<boolean> {
  return (await readFile(path.join(directory, completionFile), "utf8").catch(() => "")) !== "";
}

export async function markComplete(directory: string, binaries: Binaries, durable: boolean): Promise<void> {
  const about = { format: 1, major: binaries.major, version: binaries.version, madeAt: new Date().toISOString() };
  await writeFileDurably(path.join(directory, completionFile), `${JSON.stringify(about, null, 2)}\n`, 0o600, durable);
}

/** Comes before deleting the data: what is half deleted then counts as never finished. */
export async function clearCompletion(directory: string): Promise<void> {
  await rm(path.join(directory, completionFile), { force: true });
}

/**
 * Makes a cluster's own directory. The server's account needs to pass through it only: the data below is its own.
 * @throws {DirectoryError}
 */
export async function prepareDirectory(directory: string, account: Account | undefined): Promise<void> {
  try {
    const made = await mkdir(directory, { recursive: true, mode: account === undefined ? 0o700 : 0o711 });
    if (account === undefined) return;
    if (made !== undefined) {
      const owner = await foreignOwner(path.dirname(directory));
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    }
    const about = await stat(directory);
    if (about.uid === process.getuid?.()) await chmod(directory, about.mode | 0o711);
  } catch (error) {
    throw new DirectoryError(`cannot write ${directory}: ${(error as NodeJS.ErrnoException).code ?? "failed"}`, {
      cause: error,
      hint: "Choose a directory that you may write to.",
    });
  }
}
