import { constants } from "node:fs";
import { copyFile, type FileHandle, lstat, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32c, crc32cHex } from "./crc32c.ts";
import type { FileEntry } from "./manifest.ts";

// Written anew by every restore, whatever is there.
const neverReused: ReadonlySet<string> = new Set([
  "global/pg_control",
  "backup_label",
  "tablespace_map",
  "postgresql.auto.conf",
]);

/**
 * Puts a file that is there already to use: the one in its place, else a copy of the one in the cluster that was moved
 * aside (shared with it where the file system can). It counts when its size and checksum are the backup's.
 * @param path where the file belongs
 * @param former where the former cluster has it; undefined without one
 * @returns false when there is none; then nothing is at `path`
 */
export async function reuseFile(entry: FileEntry, path: string, former: string | undefined): Promise<boolean> {
  if (neverReused.has(entry.path)) {
    await rm(path, { force: true });
    return false;
  }
  if (await matches(path, entry)) return true;
  await rm(path, { force: true, recursive: true });
  if (former === undefined || !(await matches(former, entry))) return false;
  await copyFile(former, path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  if (await matches(path, entry)) return true;
  await rm(path, { force: true });
  return false;
}

/** True for a plain file of the entry's size and checksum. */
async function matches(path: string, entry: FileEntry): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile() || found.size !== entry.sizeBytes) return false;
  const file = await open(path, "r");
  try {
    return crc32cHex(await checksumOf(file)) === entry.crc32c;
  } finally {
    await file.close();
  }
}

async function checksumOf(file: FileHandle): Promise<number> {
  const buffer = Buffer.allocUnsafe(256 * 1024);
  let crc = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return crc;
    crc = crc32c(buffer.subarray(0, bytesRead), crc);
  }
}

/**
 * Removes what does not belong into a directory.
 * @param belongs answers for a path relative to it, forward slashes
 */
export async function removeStrays(directory: string, belongs: (path: string) => boolean, below = ""): Promise<void> {
  for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (!belongs(path)) await rm(join(directory, path), { recursive: true, force: true });
    else if (entry.isDirectory()) await removeStrays(directory, belongs, path);
  }
}
