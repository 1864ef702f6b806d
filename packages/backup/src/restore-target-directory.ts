import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { DirectoryNotEmptyError, InvalidBackupOptionsError } from "./errors.ts";

/** Lies in a directory from a restore's first write to its last: what holds it is unfinished and ours to clear. */
export const unfinishedMark = "restore.unfinished";

/**
 * Makes sure a restore may write into a directory: absent, empty, or left by a restore that did not finish.
 * @throws {DirectoryNotEmptyError} naming what is there
 */
export async function checkTargetDirectory(directory: string): Promise<void> {
  if (!isAbsolute(directory)) {
    throw new InvalidBackupOptionsError(`the directory "${directory}" is not absolute`, {
      hint: "Give the whole path.",
    });
  }
  const names = await namesIn(directory);
  if (names.length === 0 || isUnfinished(names)) return;
  if (names.includes("postmaster.pid")) {
    const [pid] = (await readFile(join(directory, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
    throw new DirectoryNotEmptyError(`${directory} holds a cluster that runs or was killed (process ${pid})`, {
      hint: "Restore into an empty directory, beside it.",
    });
  }
  const what = names.includes("PG_VERSION") ? "a cluster" : `${names.length} entries`;
  throw new DirectoryNotEmptyError(`${directory} is not empty: it holds ${what}`, {
    hint: "Name a directory that is empty or does not exist.",
  });
}

/** Makes the directory, 0700, or clears what an unfinished restore left, and marks it unfinished. */
export async function claimTargetDirectory(directory: string): Promise<void> {
  await checkTargetDirectory(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(directory, unfinishedMark), "A restore writes here. Without its end, this is no database.\n");
  for (const name of await namesIn(directory)) {
    if (name !== unfinishedMark) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Removes everything a failed restore wrote, the mark last. The directory itself stays. */
export async function clearTargetDirectory(directory: string): Promise<void> {
  if (!isUnfinished(await namesIn(directory))) return;
  for (const name of await namesIn(directory)) {
    if (name !== unfinishedMark) await rm(join(directory, name), { recursive: true, force: true });
  }
  await rm(join(directory, unfinishedMark), { force: true });
}

function isUnfinished(names: readonly string[]): boolean {
  return names.includes(unfinishedMark);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
