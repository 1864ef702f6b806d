import type { DataKey, Repository } from "./repository/repository.ts";
import { type PackPiece, readPacks } from "./repository/pack.ts";
import { defaultThreads, FrameThreads } from "./repository/frame-threads.ts";
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
    if (!isPlace(entry.sizeBytes) || !isPlace(entry.position)) {
      throw new CorruptObjectError(key, `has an impossible place for ${entry.path}`);
    }
  }
  return entries.sort((a, b) => a.position - b.position);
}

function isPlace(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Receives one file's bytes in order. */
export interface FileSink {
  write(chunk: Buffer): Promise<void>;
  end(): Promise<void>;
  /** Called instead of `end` after a failure; never throws. */
  abort(): Promise<void>;
}

/** Below this, threads would take longer to start than to do it. */
const leastForThreads = 64 * 1024 * 1024;

/**
 * Reads the packs once, from the first to the last, and gives every file of `entries` to a sink of its own. Each file's
 * size and CRC-32C are checked, each object's own checks made. Packs without any of these files are left out.
 * @param entries of the backup's index, in the order of their positions
 * @throws {CorruptObjectError} as soon as something differs; files given so far are not to be trusted then
 */
export async function readStoredFiles(
  repository: Repository,
  backup: StoredFiles,
  entries: readonly FileEntry[],
  open: (entry: FileEntry) => Promise<FileSink>,
  options: {
    readonly onBytes?: (bytes: number) => void;
    readonly signal?: AbortSignal | undefined;
    /** Threads that open frames. Default: as many as are worth it. */
    readonly workers?: number | undefined;
  } = {},
): Promise<void> {
  const { manifest, prefix } = backup;
  const files = entries.filter(({ type }) => type === "file");
  const workers =
    options.workers ??
    (manifest.bytes >= leastForThreads ? defaultThreads(manifest.compression.algorithm !== "gzip") : 0);
  await using threads = workers > 0 ? new FrameThreads(workers) : undefined;
  const reading = { dataKey: backup.dataKey?.bytes, signal: options.signal, opener: threads };
  const distribution = new Distribution(files, open, `${prefix}data`);
  const wanted = (from: number, to: number): boolean => distribution.wants(from, to);
  try {
    for await (const piece of readPacks(repository.storage, prefix, manifest, wanted, reading)) {
      const given = await distribution.take(piece);
      options.onBytes?.(given);
    }
    await distribution.end();
  } catch (error) {
    await distribution.abort();
    throw error;
  }
}

/** Gives the run of packed bytes out to files. */
class Distribution {
  readonly #files: readonly FileEntry[];
  readonly #open: (entry: FileEntry) => Promise<FileSink>;
  readonly #key: string;
  #next = 0;
  #current: { readonly entry: FileEntry; readonly sink: FileSink; left: number; crc: number } | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(files: readonly FileEntry[], open: (entry: FileEntry) => Promise<FileSink>, key: string) {
    this.#files = files;
    this.#open = open;
    this.#key = key;
  }

  /** True when a file that is still to come has bytes between two positions. */
  wants(from: number, to: number): boolean {
    // Files without bytes need none read.
    for (let index = this.#next; index < this.#files.length; index++) {
      const { position, sizeBytes } = this.#files[index]!;
      if (position >= to) break;
      if (sizeBytes > 0 && position + sizeBytes > from) return true;
    }
    return this.#current !== undefined;
  }

  /** @returns how many bytes went into files */
  async take({ position, bytes }: PackPiece): Promise<number> {
    let given = 0;
    let at = 0;
    // The bytes of the piece before are somebody else's after this.
    await this.#writing;
    while (at < bytes.length) {
      if (!this.#current) await this.#openNext();
      const current = this.#current;
      // Between two files lie an archive's headers, or files nobody asked for.
      const begin = current ? current.entry.position + current.entry.sizeBytes - current.left : Infinity;
      if (begin < position + at) throw new CorruptObjectError(this.#key, "holds files that overlap");
      if (!current || begin >= position + bytes.length) return given;
      at = begin - position;
      const part = bytes.subarray(at, at + Math.min(current.left, bytes.length - at));
      await this.#writing;
      this.#writing = current.sink.write(part);
      // Taken when it is awaited, by the next write or the file's end.
      this.#writing.catch(() => undefined);
      current.crc = crc32c(part, current.crc);
      current.left -= part.length;
      given += part.length;
      at += part.length;
      if (current.left === 0) await this.#finish();
    }
    return given;
  }

  async end(): Promise<void> {
    await this.#openNext();
    if (this.#current) throw new CorruptObjectError(this.#key, "ends before its last file");
  }

  async abort(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#current?.sink.abort();
  }

  /** Opens the next file that has bytes; those without are made on the way. */
  async #openNext(): Promise<void> {
    while (!this.#current && this.#next < this.#files.length) {
      const entry = this.#files[this.#next++]!;
      this.#current = { entry, sink: await this.#open(entry), left: entry.sizeBytes, crc: 0 };
      if (entry.sizeBytes === 0) await this.#finish();
    }
  }

  async #finish(): Promise<void> {
    const { entry, sink, crc } = this.#current!;
    await this.#writing;
    if (crc32cHex(crc) !== entry.crc32c) {
      throw new CorruptObjectError(this.#key, `${entry.path} does not match its checksum`);
    }
    this.#current = undefined;
    await sink.end();
  }
}
