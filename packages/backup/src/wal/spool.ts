import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "@db/core";
import { SpoolError } from "../errors.ts";
import { isSegmentName } from "../manifest-names.ts";

/** A run of WAL on the spool's disk: one segment, whole or as far as it came. */
export interface SpooledSegment {
  readonly segment: string;
  readonly path: string;
  readonly bytes: number;
}

/**
 * Where received WAL waits for the repository: one file a segment, never more than the quota. Nothing here is
 * acknowledged to the server, so losing the spool loses nothing.
 */
export class WalSpool {
  readonly #directory: string;
  readonly #quotaBytes: number;
  #file: FileHandle | undefined;
  #current: { readonly segment: string; readonly path: string; bytes: number } | undefined;
  #bytes = 0;
  #made = false;
  #freed: (() => void) | undefined;

  constructor(directory: string, quotaBytes: number) {
    this.#directory = directory;
    this.#quotaBytes = quotaBytes;
  }

  /** Bytes on the spool's disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The segment that is being received. */
  get current(): SpooledSegment | undefined {
    return this.#current;
  }

  /**
   * Makes the directory, or takes the segments of an earlier run out of it; what else is there is not touched.
   * @throws {SpoolError}
   */
  async open(): Promise<void> {
    try {
      this.#made = (await mkdir(this.#directory, { recursive: true, mode: 0o700 })) !== undefined;
      await this.#empty();
    } catch (error) {
      throw spoolError(this.#directory, error);
    }
  }

  /** Writes bytes of a segment at their offset; waits while the spool is full. @throws {SpoolError} */
  async write(segment: string, offset: number, chunk: Buffer, signal: AbortSignal): Promise<void> {
    if (this.#current?.segment !== segment) await this.#begin(segment);
    // The segment under way always has its place: only whole ones wait for the repository.
    while (this.#bytes + chunk.length > this.#quotaBytes && this.#bytes > this.#current!.bytes && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    try {
      let at = 0;
      while (at < chunk.length) {
        at += (await this.#file!.write(chunk, at, chunk.length - at, offset + at)).bytesWritten;
      }
    } catch (error) {
      throw spoolError(this.#directory, error);
    }
    this.#current!.bytes = offset + chunk.length;
    this.#bytes += chunk.length;
  }

  /** Ends the segment under way. @returns its file, which stays until it is released */
  async end(): Promise<SpooledSegment | undefined> {
    const current = this.#current;
    this.#current = undefined;
    await this.#file?.close();
    this.#file = undefined;
    return current;
  }

  /** Reads what is there of a segment. @throws {SpoolError} when it is less than was received */
  async *read({ path, bytes }: SpooledSegment): AsyncGenerator<Buffer> {
    let length = 0;
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, end: bytes - 1 })) {
        length += (chunk as Buffer).length;
        yield chunk as Buffer;
      }
    } catch (error) {
      throw spoolError(this.#directory, error);
    }
    if (length !== bytes) throw spoolError(this.#directory, new Error("a file is shorter than what was received"));
  }

  /** Removes a segment that is in the repository. */
  async release({ path, bytes }: SpooledSegment): Promise<void> {
    await rm(path, { force: true });
    this.#bytes -= bytes;
    this.#freed?.();
  }

  /** Forgets the segment under way: it will be received again from its beginning. */
  async forgetCurrent(): Promise<void> {
    const current = await this.end();
    if (current) await this.release(current);
  }

  async close(): Promise<void> {
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
    await this.#empty().catch(() => undefined);
    // One that was there, a mount point perhaps, stays.
    if (this.#made) await rmdir(this.#directory).catch(() => undefined);
  }

  async #empty(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      if (isSegmentName(name)) await rm(join(this.#directory, name), { force: true });
    }
  }

  async #begin(segment: string): Promise<void> {
    const path = join(this.#directory, segment);
    try {
      this.#file = await open(path, "w", 0o600);
    } catch (error) {
      throw spoolError(this.#directory, error);
    }
    this.#current = { segment, path, bytes: 0 };
  }
}

function spoolError(directory: string, error: unknown): SpoolError {
  return new SpoolError(`cannot write WAL to the spool ${directory}: ${messageOf(error)}`, {
    cause: error,
    hint: "Free space there; the server's slot holds the WAL until then, so watch its disk too.",
  });
}
