import { createHash, randomBytes } from "node:crypto";
import { access, chmod, constants, mkdir, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Account } from "./account.ts";
import { isComplete, writeFileDurably } from "./data-directory.ts";
import { DirectoryError, DirectoryInUseError } from "./errors.ts";
import { type FileLock, isHeld, takeLock } from "./lock.ts";
import { canReach } from "./reach.ts";
import { readRunningRecord } from "./running-record.ts";

/** Part of the name of what is being made or deleted; what bears it after a crash is of no use. */
const makingSuffix = ".making-";

/** How long a holder may take to be gone: a killed process stays visible for a moment. */
const dyingMs = 1_000;

/** A local topology's own directory, locked for this process. */
export interface TopologyDirectory {
  readonly lock: FileLock;
  /** Where the clusters are: the directory itself, or a place that the server's account can reach. */
  readonly data: string;
  readonly password: string;
}

/**
 * Makes and locks the directory, tells where its data goes, and keeps its password in a file of mode 0600.
 * @throws {DirectoryError | DirectoryInUseError}
 */
export async function openTopologyDirectory(
  directory: string,
  account: Account | undefined,
): Promise<TopologyDirectory> {
  try {
    await mkdir(directory, { recursive: true, mode: account === undefined ? 0o700 : 0o711 });
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(directory, error);
  }
  const lock = await lockDirectory(directory);
  try {
    // Whatever version control the project uses, a database does not belong in it.
    const ignore = path.join(directory, ".gitignore");
    if (!(await exists(ignore))) await writeFileDurably(ignore, "*\n", 0o644);
    const data = await dataLocation(directory, account);
    await clearUnfinished(data);
    return { lock, data, password: await passwordOf(directory) };
  } catch (error) {
    await lock.release();
    throw (error as NodeJS.ErrnoException).code === "EACCES" || (error as NodeJS.ErrnoException).code === "EROFS"
      ? notWritable(directory, error)
      : error;
  }
}

async function lockDirectory(directory: string): Promise<FileLock> {
  const file = path.join(directory, "lock");
  const deadline = Date.now() + dyingMs;
  let result = await takeLock(file).catch((error: unknown) => {
    throw notWritable(directory, error);
  });
  while (!isHeld(result)) {
    if (result.pid === process.pid || Date.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
    result = await takeLock(file);
  }
  if (isHeld(result)) return result;
  const record = await readRunningRecord(path.join(directory, "primary"));
  const where = record === undefined ? "" : `; its database listens on port ${record.port}`;
  throw new DirectoryInUseError(
    result.pid === process.pid
      ? `this process already has ${directory} open`
      : `another process${result.pid > 0 ? ` (pid ${result.pid})` : ""} runs the database in ${directory}${where}`,
    {
      pid: result.pid > 0 ? result.pid : undefined,
      hint: `Stop it first${result.pid > 0 ? ` (kill ${result.pid})` : ""}, or choose another directory.`,
    },
  );
}

function notWritable(directory: string, error: unknown): DirectoryError {
  const { code } = error as NodeJS.ErrnoException;
  const what = code === "EROFS" ? "the file system is read-only" : code === "ENOSPC" ? "the disk is full" : code;
  return new DirectoryError(`cannot write the database's directory ${directory}: ${what}`, {
    cause: error,
    hint: "Choose a directory you may write to, or change the owner of this one.",
  });
}

/**
 * Root's server runs as another account, which must be able to enter the directory. Where it cannot (a project below
 * /root) the data goes to a place of its own, told in the file `location`.
 */
async function dataLocation(directory: string, account: Account | undefined): Promise<string> {
  const pointer = path.join(directory, "location");
  const known = (await readFile(pointer, "utf8").catch(() => "")).trim();
  if (known !== "") {
    if (await exists(known)) return known;
    await rm(pointer, { force: true });
  }
  if (account === undefined) return directory;
  const about = await stat(directory);
  if (about.uid === process.getuid?.()) await chmod(directory, about.mode | 0o711);
  if (await canReach(directory, account, "enter")) return directory;
  const key = createHash("sha256")
    .update(await realpath(directory))
    .digest("hex");
  const place = path.join("/var/lib/db-embedded", `${path.basename(path.dirname(directory))}-${key.slice(0, 12)}`);
  try {
    await mkdir(place, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw new DirectoryError(`the account ${account.name}, which runs the server, cannot enter ${directory}`, {
      cause: error,
      hint: "Move the project to where every account may enter, or run as a user.",
    });
  }
  await writeFileDurably(pointer, `${place}\n`, 0o644);
  return place;
}

async function passwordOf(directory: string): Promise<string> {
  const file = path.join(directory, "password");
  const known = (await readFile(file, "utf8").catch(() => "")).trim();
  if (known !== "") return known;
  const password = randomBytes(18).toString("base64url");
  await writeFileDurably(file, `${password}\n`, 0o600);
  return password;
}

/**
 * Deletes what a killed process was making; it never bore its final name. What bears a final name but no mark of
 * completion is put aside, not deleted: somebody may have put it there.
 */
async function clearUnfinished(data: string): Promise<void> {
  for (const entry of await readdir(data, { withFileTypes: true })) {
    const home = path.join(data, entry.name);
    if (entry.name.includes(makingSuffix)) await rm(home, { recursive: true, force: true, maxRetries: 10 });
    else if (/^(primary|replica_\d+)$/.test(entry.name) && !(await isComplete(home))) {
      if ((await readdir(home)).length === 0) await rm(home, { recursive: true });
      else await rename(home, `${home}.unfinished-${randomBytes(3).toString("hex")}`);
    }
  }
}

/** Makes a directory under another name and gives it its own once it is whole. */
export async function makeUnder(home: string, make: (directory: string) => Promise<void>): Promise<void> {
  const temporary = `${home}${makingSuffix}${randomBytes(4).toString("hex")}`;
  try {
    await make(temporary);
    await rename(temporary, home);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true, maxRetries: 10 });
    throw error;
  }
}

/** Deletes a cluster that is not running, under another name so that a crash leaves no half of it. */
export async function discard(home: string): Promise<void> {
  const doomed = `${home}${makingSuffix}${randomBytes(4).toString("hex")}`;
  try {
    await rename(home, doomed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  await rm(doomed, { recursive: true, force: true, maxRetries: 10 });
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
