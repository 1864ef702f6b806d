import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { AbortedError, messageOf } from "@db/core";
import { ObjectExistsError, ObjectNotFoundError, StorageError } from "../errors.ts";
import { safeRelativePath } from "../safe-path.ts";
import { DirectFile } from "./direct-file.ts";
import { releaseMemory } from "./frame.ts";
import type { ObjectWriter, ReadOptions, Storage, StoredObject, WriteOptions } from "./storage.ts";

const unfinishedMark = ".unfinished-";

/**
 * A storage on a local or mounted file system. An object is written beside its place, fsynced, linked into place and
 * its directory fsynced. Directories are 0700, files 0600.
 */
export function localStorage(directory: string): Storage {
  const root = resolve(directory);
  const pathOf = (key: string): string => join(root, safeRelativePath(key, "a key of the repository"));
  return {
    location: root,
    list: (prefix, options) => listUnder(root, prefix, options?.signal),
    read: (key, options) => readFileOf(pathOf(key), key, options ?? {}),
    create: (key, options) => createFile(pathOf(key), key, options ?? {}),
    remove: async (key) => {
      const path = pathOf(key);
      try {
        await rm(path, { force: true });
        await syncDirectory(dirname(path));
        await removeEmptyParents(dirname(path), root);
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw storageError("remove", key, error);
      }
    },
    removeUnfinished: async (olderThanMs) => {
      let removed = 0;
      for await (const path of walk(root)) {
        // Only the last part of the path counts: a directory may be called anything.
        if (!basename(path).startsWith(unfinishedMark)) continue;
        const { mtimeMs } = await stat(path);
        if (Date.now() - mtimeMs < olderThanMs) continue;
        await rm(path, { force: true });
        removed++;
      }
      return removed;
    },
  };
}

async function* listUnder(root: string, prefix: string, signal: AbortSignal | undefined): AsyncIterable<StoredObject> {
  const base = prefix.includes("/") ? join(root, prefix.slice(0, prefix.lastIndexOf("/"))) : root;
  for await (const path of walk(base)) {
    if (signal?.aborted) throw new AbortedError("listing was aborted", { cause: signal.reason });
    const key = path.slice(root.length + 1).replaceAll("\\", "/");
    if (!key.startsWith(prefix) || basename(path).startsWith(unfinishedMark)) continue;
    const info = await stat(path).catch(() => undefined);
    // Removed between the listing and now: it is not there.
    if (info) yield { key, sizeBytes: info.size, modifiedAt: info.mtimeMs };
  }
}

async function* walk(directory: string): AsyncIterable<string> {
  let entries;
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw storageError("list", directory, error);
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory()) yield* walk(join(directory, entry.name));
    else if (entry.isFile()) yield join(directory, entry.name);
  }
}

async function* readFileOf(path: string, key: string, { signal, reuse }: ReadOptions): AsyncIterable<Uint8Array> {
  const stop = (): void => {
    if (signal?.aborted) throw new AbortedError("reading was aborted", { cause: signal.reason });
  };
  try {
    if (reuse === true) yield* readAhead(path, stop);
    else yield* createReadStream(path, { highWaterMark: 256 * 1024, ...(signal ? { signal } : {}) });
  } catch (error) {
    stop();
    if (codeOf(error) === "ENOENT") throw new ObjectNotFoundError(`${key} is not in the repository`);
    throw storageError("read", key, error);
  }
}

const readAheadBytes = 512 * 1024;

/** A file by two buffers: one is the reader's while the other is filled. Fresh memory for each read would pile up. */
async function* readAhead(path: string, stop: () => void): AsyncGenerator<Buffer> {
  stop();
  const file = await open(path, "r");
  const buffers = [Buffer.allocUnsafeSlow(readAheadBytes), Buffer.allocUnsafeSlow(readAheadBytes)] as const;
  const fill = (buffer: Buffer): Promise<{ readonly bytesRead: number }> => {
    const filled = file.read(buffer, 0, buffer.length);
    // Taken when the reader asks for it; until then a failure must not count as unhandled.
    filled.catch(() => undefined);
    return filled;
  };
  let filling = fill(buffers[0]);
  try {
    for (let turn = 0; ; turn++) {
      const { bytesRead } = await filling;
      stop();
      if (bytesRead === 0) return;
      filling = fill(buffers[(turn + 1) % 2]!);
      yield buffers[turn % 2]!.subarray(0, bytesRead);
    }
  } finally {
    await filling.catch(() => undefined);
    await file.close();
    for (const buffer of buffers) releaseMemory(buffer);
  }
}

async function createFile(path: string, key: string, options: WriteOptions): Promise<ObjectWriter> {
  const directory = dirname(path);
  const unfinished = join(directory, `${unfinishedMark}${randomBytes(6).toString("hex")}`);
  let file: DirectFile;
  try {
    await makeDirectory(directory);
    file = await DirectFile.create(unfinished);
  } catch (error) {
    throw storageError("write", key, error);
  }
  const discard = async (): Promise<void> => {
    await file.close();
    await rm(unfinished, { force: true }).catch(() => undefined);
  };
  return {
    write: async (chunk) => {
      if (options.signal?.aborted) throw new AbortedError("writing was aborted", { cause: options.signal.reason });
      try {
        await file.write(chunk);
      } catch (error) {
        throw storageError("write", key, error);
      }
    },
    commit: async () => {
      try {
        await file.sync();
        await file.close();
        if (options.ifAbsent ?? true) {
          await linkInto(unfinished, path);
          await rm(unfinished);
        } else await rename(unfinished, path);
        await syncDirectory(directory);
      } catch (error) {
        await discard();
        if (codeOf(error) === "EEXIST") throw new ObjectExistsError(`${key} is already in the repository`);
        throw storageError("write", key, error);
      }
    },
    abort: discard,
  };
}

async function linkInto(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Some mounted file systems know no hard links: there, the exclusive creation of the name decides who wins.
    if (!["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"].includes(codeOf(error) ?? "")) throw error;
    await (await open(to, "wx", 0o600)).close();
    await rename(from, to);
    await (await open(from, "wx", 0o600)).close();
  }
}

/** Makes a directory and its missing parents so that all of them survive a power cut. */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let path = directory; path.length >= first.length; path = dirname(path)) await syncDirectory(dirname(path));
}

async function removeEmptyParents(directory: string, root: string): Promise<void> {
  for (let path = directory; path.length > root.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}

/** Makes names in a directory survive a power cut. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | null)?.code;
}

function storageError(action: string, key: string, error: unknown): StorageError {
  const hints: Record<string, string> = {
    ENOSPC: "Free space on the repository's disk, or expire old backups.",
    EDQUOT: "Raise the quota of the repository's owner, or expire old backups.",
    EACCES: "Give this user the right to read and write the repository's directory.",
    EROFS: "Mount the repository's file system read-write.",
    ENOTDIR: "Point the repository at a directory.",
  };
  const hint = hints[codeOf(error) ?? ""];
  return new StorageError(`cannot ${action} ${key}: ${messageOf(error)}`, { cause: error, ...(hint ? { hint } : {}) });
}
