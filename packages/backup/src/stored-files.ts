import type { DataKey, Repository } from "./repository/repository.ts";
import { readPacks } from "./repository/pack.ts";
import { readSealed } from "./repository/sealed-object.ts";
import { crc32c, crc32cHex } from "./crc32c.ts";
import { CorruptObjectError } from "./errors.ts";
import type { BackupManifest, FileEntry } from "./manifest.ts";
import { safeRelativePath } from "./safe-path.ts";

/** Files in packs: those of a backup, or of a dump. */
export interface StoredFiles {
  readonly manifest: Pick<BackupManifest, "packs" | "archives" | "compression" | "objects" | "bytes">;
  /** The folder, with a closing slash. */
  readonly prefix: string;
  readonly dataKey: DataKey | undefined;
}

/** Reads one of a backup's sealed objects whole: an index, settings, never data. @throws {CorruptObjectError} */
export async function readBackupObject(
  repository: Repository,
  backup: StoredFiles,
  name: string,
  signal?: AbortSignal,
): Promise<Buffer> {
  const object = backup.manifest.objects.find((candidate) => candidate.name === name);
  if (!object) throw new CorruptObjectError(backup.prefix + name, "is not in the backup's record");
  const parts: Buffer[] = [];
  const options = { dataKey: backup.dataKey?.bytes, expectedSha256: object.sha256, signal };
  for await (const part of readSealed(repository.storage, backup.prefix + name, options)) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * Parses the file index. Every path is checked again: an index is input like any other.
 * @returns in the order of their positions
 * @throws {UnsafePathError} @throws {CorruptObjectError}
 */
export function parseFileIndex(raw: Buffer, key: string): FileEntry[] {
  const entries = raw
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as FileEntry);
  for (const entry of entries) {
    if (safeRelativePath(entry.path, "the file index") !== entry.path) {
      throw new CorruptObjectError(key, "names a file in an unusual way");
    }
  }
  return entries.sort((a, b) => a.position - b.position);
}

/** Receives one file's bytes in order. */
export interface FileSink {
  write(chunk: Buffer): Promise<void>;
  end(): Promise<void>;
  /** Called instead of `end` after a failure; never throws. */
  abort(): Promise<void>;
}

/**
 * Reads all packs once, from the first to the last, and gives every file to a sink of its own. Each file's size and
 * CRC-32C are checked, each pack's checksum at its end.
 * @throws {CorruptObjectError} as soon as something differs; files given so far are not to be trusted then
 */
export async function readStoredFiles(
  repository: Repository,
  backup: StoredFiles,
  entries: readonly FileEntry[],
  open: (entry: FileEntry) => Promise<FileSink>,
  options: { readonly onBytes?: (bytes: number) => void; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { manifest, prefix } = backup;
  const queue = entries.filter(({ type }) => type === "file");
  const key = `${prefix}data`;
  let next = 0;
  let position = 0;
  let current: { entry: FileEntry; sink: FileSink; left: number; crc: number } | undefined;
  const finish = async (): Promise<void> => {
    if (!current) return;
    await current.sink.end();
    if (crc32cHex(current.crc) !== current.entry.crc32c) {
      throw new CorruptObjectError(key, `${current.entry.path} does not match its checksum`);
    }
    current = undefined;
  };
  const openAt = async (): Promise<void> => {
    while (!current && next < queue.length && queue[next]!.position === position) {
      const entry = queue[next++]!;
      current = { entry, sink: await open(entry), left: entry.sizeBytes, crc: 0 };
      if (entry.sizeBytes === 0) await finish();
    }
  };
  const packs = { dataKey: backup.dataKey?.bytes, signal: options.signal };
  try {
    for await (const chunk of readPacks(repository.storage, prefix, manifest, packs)) {
      let at = 0;
      let given = 0;
      while (at < chunk.length) {
        await openAt();
        if (!current) {
          // Between the files of an archive lie its headers, between packed files nothing.
          if (manifest.archives.length === 0) throw new CorruptObjectError(key, "holds bytes that belong to no file");
          const skipped = Math.min(chunk.length - at, (queue[next]?.position ?? Infinity) - position);
          if (!(skipped > 0)) throw new CorruptObjectError(key, "holds files that overlap");
          position += skipped;
          at += skipped;
          continue;
        }
        const part = chunk.subarray(at, at + Math.min(current.left, chunk.length - at));
        current.crc = crc32c(part, current.crc);
        await current.sink.write(part);
        current.left -= part.length;
        position += part.length;
        given += part.length;
        at += part.length;
        if (current.left === 0) await finish();
      }
      options.onBytes?.(given);
    }
  } catch (error) {
    await current?.sink.abort();
    throw error;
  }
  await openAt();
  if (current || next < queue.length || position !== runBytes(manifest)) {
    throw new CorruptObjectError(key, "ends before its last file");
  }
}

/** The length of the run of packed bytes. */
function runBytes({ archives, bytes }: StoredFiles["manifest"]): number {
  return archives.length === 0 ? bytes : archives.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
}
