import { mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { ClusterChangedError, DirectoryNotEmptyError, InvalidBackupOptionsError } from "./errors.ts";

/** Lies in a directory from a restore's first write to its last: what holds it is unfinished and ours to go on with. */
export const unfinishedMark = "restore.unfinished";

/** What a restore finds where it shall write. */
export type TargetState =
  /** Absent or empty. */
  | "empty"
  /** Left by a restore that did not finish. */
  | "unfinished"
  /** A stopped cluster, or a tablespace of one. */
  | "occupied";

/**
 * Says what is in a directory a restore may write into.
 * @throws {DirectoryNotEmptyError} for a cluster that runs or was killed
 */
export async function inspectTargetDirectory(directory: string): Promise<TargetState> {
  if (!isAbsolute(directory)) {
    throw new InvalidBackupOptionsError(`the directory "${directory}" is not absolute`, {
      hint: "Give the whole path.",
    });
  }
  const names = await namesIn(directory);
  if (names.length === 0) return "empty";
  if (names.includes(unfinishedMark)) return "unfinished";
  if (names.includes("postmaster.pid")) {
    const [pid] = (await readFile(join(directory, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
    throw new DirectoryNotEmptyError(`${directory} holds a cluster that runs or was killed (process ${pid})`, {
      hint: "Stop it cleanly, or restore into an empty directory, beside it.",
    });
  }
  return "occupied";
}

/**
 * Makes sure a restore may write into a directory: absent, empty, or left by a restore that did not finish.
 * @throws {DirectoryNotEmptyError} naming what is there
 */
export async function checkTargetDirectory(directory: string, hint?: string): Promise<void> {
  if ((await inspectTargetDirectory(directory)) !== "occupied") return;
  const names = await namesIn(directory);
  const what = names.includes("PG_VERSION") ? "a cluster" : `${names.length} entries`;
  throw new DirectoryNotEmptyError(`${directory} is not empty: it holds ${what}`, {
    hint: hint ?? "Name a directory that is empty or does not exist, or say that a cluster there shall be replaced.",
  });
}

/**
 * Makes sure that what would be replaced is a stopped data directory of the backup's own cluster.
 * @throws {DirectoryNotEmptyError} when it is no data directory; @throws {ClusterChangedError} when it is another's
 */
export async function checkReplacedCluster(directory: string, systemIdentifier: string): Promise<void> {
  const names = await namesIn(directory);
  const found = names.includes("PG_VERSION") ? await readSystemIdentifier(directory) : undefined;
  if (found === undefined) {
    throw new DirectoryNotEmptyError(`${directory} is not empty and no data directory of PostgreSQL`, {
      hint: "Only a cluster is replaced; name another directory.",
    });
  }
  if (found === systemIdentifier) return;
  throw new ClusterChangedError(`${directory} holds cluster ${found}, the backup is of ${systemIdentifier}`, {
    hint: "A cluster is replaced only by a backup of its own; restore beside it.",
  });
}

/** What the mark says: the backup, and where the former cluster's directories were moved to. */
export interface UnfinishedRestore {
  readonly label: string;
  /** By the directory they had. */
  readonly former: Readonly<Record<string, string>>;
}

/** Makes the directory, 0700, and marks it unfinished. */
export async function claimTargetDirectory(directory: string, restore: UnfinishedRestore): Promise<void> {
  await checkTargetDirectory(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const note = "A restore writes here. Without its end, this is no database.";
  await writeFile(join(directory, unfinishedMark), `${JSON.stringify({ note, ...restore }, null, 2)}\n`);
}

/** What an unfinished restore wrote down; nothing known when its mark was cut short. */
export async function readUnfinishedRestore(directory: string): Promise<UnfinishedRestore> {
  try {
    const read = JSON.parse(await readFile(join(directory, unfinishedMark), "utf8")) as Partial<UnfinishedRestore>;
    return { label: read.label ?? "", former: read.former ?? {} };
  } catch {
    return { label: "", former: {} };
  }
}

/** Removes everything a failed restore wrote, the mark last. The directory itself stays. */
export async function clearTargetDirectory(directory: string): Promise<void> {
  const names = await namesIn(directory);
  if (!names.includes(unfinishedMark)) return;
  for (const name of names) {
    if (name !== unfinishedMark) await rm(join(directory, name), { recursive: true, force: true });
  }
  await rm(join(directory, unfinishedMark), { force: true });
}

/** The first eight bytes of pg_control. @see https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_control.h */
async function readSystemIdentifier(directory: string): Promise<string | undefined> {
  const file = await open(join(directory, "global/pg_control"), "r").catch(() => undefined);
  if (!file) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return bytesRead === 8 ? String(buffer.readBigUInt64LE()) : undefined;
  } finally {
    await file.close();
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
