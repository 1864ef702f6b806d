import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, systemClock } from "@db/core";
import { StorageError, WalRejectedError } from "../errors.ts";
import type { FrameThreads } from "../repository/frame-threads.ts";
import type { Repository } from "../repository/repository.ts";
import type { Compression } from "../repository/sealed-object.ts";
import { WalArchive, type WalPutResult } from "./archive.ts";
import { parseSegmentHeader, parseWalName } from "./segment.ts";

/** One file to archive. */
export interface WalPushOptions {
  readonly repository: Repository;
  /** What archive_command has as `%p`: the file, relative to the data directory or absolute. */
  readonly path: string;
  /** The cluster it must be of. Default: the one whose data directory the file lies in. */
  readonly systemIdentifier?: string | undefined;
  readonly compression?: Compression | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What became of it. */
export interface WalPushReport {
  readonly name: string;
  readonly systemIdentifier: string;
  /** `duplicate`: the same content was stored before, which is as good. */
  readonly result: WalPutResult;
}

/**
 * Stores one WAL file, history or backup label; resolves when it survives a power cut. A name that is there with other
 * content is an error, never replaced.
 * @throws {WalConflictError} @throws {WalRejectedError} @throws {StorageError} @throws {MissingKeyError}
 */
export async function walPush(options: WalPushOptions): Promise<WalPushReport> {
  return pushWith(options);
}

/** @param threads that seal it; by default this one does */
export async function pushWith(options: WalPushOptions, threads?: FrameThreads): Promise<WalPushReport> {
  const name = basename(options.path);
  const parsed = parseWalName(name);
  if (!parsed) throw new WalRejectedError(`"${name}" is no name of a WAL file`, { hint: "Give archive_command's %p." });
  const systemIdentifier = options.systemIdentifier ?? (await clusterOf(options.path, parsed.kind === "segment"));
  await options.repository.checkPresent();
  const archive = new WalArchive(options.repository, systemIdentifier, options.compression, threads);
  const result = await archive.put({
    name,
    source: "push",
    read: () => readThrough(options.path),
    now: systemClock.now(),
    signal: options.signal,
  });
  return { name, systemIdentifier, result };
}

/**
 * The identity of the cluster a WAL file lies in: from `global/pg_control` beside `pg_wal`, else from its own header.
 * @throws {WalRejectedError} @throws {StorageError}
 */
export async function clusterOf(path: string, isSegment: boolean): Promise<string> {
  const control = await head(join(dirname(dirname(path)), "global/pg_control"), 8).catch(() => undefined);
  if (control) return control.readBigUInt64LE(0).toString();
  const header = isSegment ? parseSegmentHeader(await head(path, 40)) : undefined;
  if (header) return header.systemIdentifier;
  throw new WalRejectedError(`cannot tell which cluster ${basename(path)} is of`, {
    hint: "Run it in the data directory, as archive_command does, or name the cluster's system identifier.",
  });
}

/** A file's content in one buffer that is filled again and again: a chunk is gone when the next one is asked for. */
async function* readThrough(path: string): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(512 * 1024);
  const file = await open(path, "r").catch((error: unknown) => {
    throw new StorageError(`cannot read ${basename(path)}: ${messageOf(error)}`, { cause: error });
  });
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function head(path: string, bytes: number): Promise<Buffer> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      if (bytesRead < bytes) throw new Error("the file is too short");
      return buffer;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new StorageError(`cannot read ${basename(path)}: ${messageOf(error)}`, { cause: error });
  }
}
