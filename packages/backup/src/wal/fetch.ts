import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf } from "@db/core";
import { StorageError, WalRejectedError } from "../errors.ts";
import type { FrameThreads } from "../repository/frame-threads.ts";
import type { Repository } from "../repository/repository.ts";
import { WalArchive, type WalRecord } from "./archive.ts";
import { listWal } from "./listing.ts";
import { clusterOf } from "./push.ts";
import { parseSegmentHeader, parseWalName } from "./segment.ts";

/** One file to bring back. */
export interface WalFetchOptions {
  readonly repository: Repository;
  /** What restore_command has as `%f`. */
  readonly name: string;
  /** What restore_command has as `%p`: where to put it. */
  readonly destination: string;
  /** The cluster it must be of. Default: the one whose data directory the destination lies in. */
  readonly systemIdentifier?: string | undefined;
  /**
   * True gives the tail of a segment that was never finished, filled up with zeros, when nothing newer is there. For
   * recovery to the very end; a standby would take it for the whole. Default false.
   */
  readonly tails?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What was found. Anything but these two is thrown. */
export interface WalFetchReport {
  readonly name: string;
  readonly found: boolean;
  readonly bytes: number;
}

/**
 * Brings one WAL file back. It has its name only when it is whole and proved right. "Not there" is a report, because
 * recovery ends by it; everything else is thrown, because recovery must not.
 * @throws {CorruptObjectError} @throws {StorageError} @throws {MissingKeyError} @throws {WrongKeyError}
 */
export async function walFetch(options: WalFetchOptions): Promise<WalFetchReport> {
  return fetchWith(options);
}

/** @param threads that open it; by default this one does */
export async function fetchWith(options: WalFetchOptions, threads?: FrameThreads): Promise<WalFetchReport> {
  const { repository, name, destination } = options;
  if (!parseWalName(name)) {
    throw new WalRejectedError(`"${name}" is no name of a WAL file`, { hint: "Give restore_command's %f." });
  }
  await repository.refresh();
  // An empty place is often one that is not mounted, and "not there" would end recovery early.
  if (!repository.identity) {
    throw new StorageError(`there is no repository at ${repository.location}`, {
      hint: "Mount it, or correct the location that restore_command names.",
    });
  }
  repository.requireKey();
  const systemIdentifier = options.systemIdentifier ?? (await clusterOf(destination, false));
  const archive = new WalArchive(repository, systemIdentifier, undefined, threads);
  const whole = await archive.find(name);
  const record = whole ?? (options.tails === true ? await findTail(repository, archive, name) : undefined);
  if (!record) {
    // A daemon opened the repository long ago.
    await repository.checkPresent();
    return { name, found: false, bytes: 0 };
  }
  const bytes = await writeWhole(archive, record, destination, options.signal);
  return { name, found: true, bytes };
}

/** The longest tail of a segment, unless a newer timeline has the segment itself. */
async function findTail(repository: Repository, archive: WalArchive, name: string): Promise<WalRecord | undefined> {
  const parsed = parseWalName(name);
  if (parsed?.kind !== "segment") return undefined;
  const listing = await listWal(repository, archive.systemIdentifier);
  const position = name.slice(8);
  for (const segment of listing.segments) if (segment.slice(8) === position && segment > name) return undefined;
  const tail = listing.partials.get(name)?.at(-1);
  return tail === undefined ? undefined : archive.record(tail);
}

async function writeWhole(
  archive: WalArchive,
  record: WalRecord,
  destination: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const temporary = join(dirname(destination), `.${basename(destination)}-${randomBytes(4).toString("hex")}`);
  try {
    const file = await open(temporary, "wx", 0o600);
    let bytes = 0;
    let segmentBytes: number | undefined;
    try {
      for await (const chunk of archive.read(record, signal)) {
        if (bytes === 0) segmentBytes = parseSegmentHeader(chunk)?.segmentBytes;
        await file.writeFile(chunk);
        bytes += chunk.length;
      }
      if (record.kind === "partial" && segmentBytes !== undefined) await file.truncate(segmentBytes);
    } finally {
      await file.close();
    }
    await rename(temporary, destination);
    return bytes;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new StorageError(`cannot write ${basename(destination)}: ${messageOf(error)}`, { cause: error });
  }
}
