import { createHash } from "node:crypto";
import { chmod, lstat, mkdir, mkdtemp, readFile, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Account } from "./account.ts";
import { copyTree } from "./copy.ts";
import { DirectoryError } from "./errors.ts";

interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

/**
 * Makes the programs of an npm package usable by the account that runs the server: completes the links between its
 * libraries when its install script did not run, and copies the whole to a place that account can read when it cannot
 * read the original (a project below /root, say). Returns the directory of programs to use.
 */
export async function makeReachable(binDirectory: string, account: Account | undefined): Promise<string> {
  const native = path.dirname(binDirectory);
  const home = path.dirname(native);
  const missing = await missingLinks(home);
  const reachable = account === undefined || (await canReach(binDirectory, account, "read"));
  if (reachable && missing.length === 0) return binDirectory;
  if (reachable && (await makeLinks(home, missing))) return binDirectory;
  const about = await stat(path.join(binDirectory, process.platform === "win32" ? "postgres.exe" : "postgres"));
  const key = createHash("sha256").update(`${native}\0${about.size}\0${about.mtimeMs}`).digest("hex").slice(0, 16);
  const shared = await sharedDirectory("programs", account);
  const target = path.join(shared, key);
  const copied = path.join(target, "native", "bin");
  if (await exists(copied)) return copied;
  const temporary = await mkdtemp(path.join(shared, ".copy-"));
  try {
    await copyTree(native, path.join(temporary, "native"));
    await makeLinks(temporary, await missingLinks(temporary));
    // mkdtemp makes a directory for its owner only.
    await chmod(temporary, 0o755);
    await rename(temporary, target).catch(async (error) => {
      if (!(await exists(copied))) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return copied;
}

/**
 * Whether an account other than this process's can enter every directory on the way to `target` and read (or write)
 * it, judged by the modes. Access lists and extra groups are not looked at.
 */
export async function canReach(target: string, account: Account, need: "read" | "write" | "enter"): Promise<boolean> {
  let current = await realpath(target);
  let bits = need === "read" ? 5 : need === "write" ? 7 : 1;
  for (;;) {
    const about = await stat(current);
    const granted =
      about.uid === account.uid ? about.mode >> 6 : about.gid === account.gid ? about.mode >> 3 : about.mode;
    if ((granted & bits) !== bits) return false;
    const parent = path.dirname(current);
    if (parent === current) return true;
    current = parent;
    bits = 1;
  }
}

/**
 * A directory of this process's user that `account` can enter: below /var/cache for root, below the temporary
 * directory otherwise.
 * @throws {DirectoryError} when somebody else made it
 */
export async function sharedDirectory(name: string, account: Account | undefined): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const bases = uid === 0 && process.platform !== "win32" ? ["/var/cache", "/var/tmp", tmpdir()] : [tmpdir()];
  for (const base of bases) {
    const directory = path.join(base, `db-embedded-${uid}`, name);
    try {
      await mkdir(directory, { recursive: true, mode: 0o755 });
    } catch {
      continue;
    }
    // A shared temporary directory lets anybody take a name first.
    for (const level of [path.dirname(directory), directory]) {
      const about = await lstat(level);
      if (process.platform !== "win32" && (!about.isDirectory() || about.uid !== uid || (about.mode & 0o022) !== 0)) {
        throw new DirectoryError(`${level} belongs to somebody else or is open to writing`, {
          hint: "Remove it, or set another temporary directory.",
        });
      }
    }
    if (account === undefined || (await canReach(directory, account, "enter"))) return directory;
  }
  throw new DirectoryError(`no directory that both this process and the server's account can use`, {
    hint: "Make /var/cache or the temporary directory enterable by everybody (mode 755).",
  });
}

async function missingLinks(home: string): Promise<readonly LibraryLink[]> {
  const text = await readFile(path.join(home, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(text) as readonly LibraryLink[];
  const present = await Promise.all(links.map((link) => exists(path.join(home, link.target))));
  return links.filter((_, index) => !present[index]);
}

/** @returns false when the directory cannot be written */
async function makeLinks(home: string, links: readonly LibraryLink[]): Promise<boolean> {
  try {
    for (const link of links) {
      const target = path.join(home, link.target);
      const source = path.relative(path.dirname(target), path.join(home, link.source));
      await symlink(source, target).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
    }
    return true;
  } catch {
    return false;
  }
}

async function exists(target: string): Promise<boolean> {
  return stat(target).then(
    () => true,
    () => false,
  );
}
