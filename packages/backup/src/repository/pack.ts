import { CorruptObjectError } from "../errors.ts";
import type { BackupManifest, ManifestObject } from "../manifest.ts";
import { decompressStream } from "./decompressor.ts";
import type { FrameOpener, OpenedFrame } from "./frame-opener.ts";
import { packName } from "./layout.ts";
import { readSealed, type SealedSummary, SealedWriter, type SealingOptions } from "./sealed-object.ts";
import type { Storage } from "./storage.ts";

/** Plain bytes per pack. */
export const packBytes: number = 64 * 1024 * 1024;

/** One pack as it was written. */
export interface PackSummary extends SealedSummary {
  /** Relative to the backup's folder. */
  readonly name: string;
}

/**
 * Writes the contents of all files as one long run of bytes, cut into packs of equal size: a file is a position and a
 * length in that run, and many small files cost no more than one large one.
 */
export class PackWriter {
  readonly #storage: Storage;
  readonly #prefix: string;
  readonly #options: SealingOptions;
  readonly #packs: PackSummary[] = [];
  #begun = 0;
  #current: SealedWriter | undefined;
  /** The pack before the current one, on its way to the disk. */
  #closing: Promise<void> | undefined;
  #position = 0;

  constructor(storage: Storage, prefix: string, options: SealingOptions) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#options = options;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#position;
  }

  /** Takes bytes in order; wait for a returned promise before giving more. */
  append(chunk: Buffer): Promise<void> | undefined {
    const room = this.#current ? packBytes - this.#current.plainBytes : 0;
    if (chunk.length > room) return this.#appendAcross(chunk);
    this.#position += chunk.length;
    return this.#current!.write(chunk);
  }

  /** Ends the current pack, so that what follows begins in one of its own. @returns how many packs there are */
  async cut(): Promise<number> {
    await this.#closePack();
    await this.#closing;
    return this.#packs.length;
  }

  async finish(): Promise<readonly PackSummary[]> {
    await this.#closePack();
    await this.#closing;
    return this.#packs;
  }

  async abort(): Promise<void> {
    await this.#current?.abort();
    this.#current = undefined;
    await this.#closing?.catch(() => undefined);
  }

  async #appendAcross(chunk: Buffer): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#current || this.#current.plainBytes === packBytes) {
        await this.#closePack();
        const key = this.#prefix + packName(this.#begun++);
        this.#current = await SealedWriter.create(this.#storage, key, this.#options);
      }
      const length = Math.min(packBytes - this.#current.plainBytes, chunk.length - at);
      await this.#current.write(chunk.subarray(at, at + length));
      this.#position += length;
      at += length;
    }
  }

  /** Lets the current pack become durable while the next one is filled; waits for the one before. */
  async #closePack(): Promise<void> {
    const writer = this.#current;
    if (!writer) return;
    this.#current = undefined;
    const name = packName(this.#begun - 1);
    const before = this.#closing;
    this.#closing = this.#finish(name, writer, before);
    // Taken by whoever closes the next pack or the last one; until then it must not count as unhandled.
    this.#closing.catch(() => undefined);
    await before;
  }

  async #finish(name: string, writer: SealedWriter, before: Promise<void> | undefined): Promise<void> {
    try {
      const summary = await writer.finish();
      await before;
      this.#packs.push({ name, ...summary });
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
}

/** How packs are read. */
export interface ReadingOptions {
  readonly dataKey: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly opener?: FrameOpener | undefined;
}

/** A piece of the run of packed bytes; good until the next but one is asked for. */
export interface PackPiece {
  readonly position: number;
  readonly bytes: Buffer;
}

/**
 * Reads the run of bytes back from its first pack to its last: the files' bytes, or the archives they lie in, unpacked.
 * @param wanted tells whether anything from one position up to another is of use; other packs are not read where each
 * can be read alone
 * @throws {CorruptObjectError}
 */
export async function* readPacks(
  storage: Storage,
  prefix: string,
  manifest: Pick<BackupManifest, "packs" | "archives" | "compression">,
  wanted: (from: number, to: number) => boolean,
  options: ReadingOptions,
): AsyncGenerator<PackPiece> {
  const { packs, archives, compression } = manifest;
  const lent: OpenedFrame[] = [];
  const read = async function* (some: readonly ManifestObject[]): AsyncGenerator<Buffer> {
    for (const { name, sha256 } of some) {
      yield* readSealed(storage, prefix + name, { ...options, expectedSha256: sha256, lent });
    }
  };
  const key = `${prefix}data`;
  const runs: readonly PackRun[] =
    archives.length === 0
      ? packs.map((pack) => ({ plainBytes: pack.plainBytes, chunks: () => read([pack]) }))
      : archives.map(({ plainBytes }, index) => ({
          plainBytes,
          chunks: () => decompressStream(read(packsOf(manifest, index)), compression.algorithm, key),
        }));
  let begin = 0;
  for (const { plainBytes, chunks } of runs) {
    let position = begin;
    begin += plainBytes;
    if (!wanted(position, begin)) continue;
    for await (const bytes of chunks()) {
      yield { position, bytes };
      position += bytes.length;
    }
    if (position !== begin) throw new CorruptObjectError(key, "holds more or fewer bytes than its record says");
  }
}

/** What can be read alone: a pack of files, or an archive. */
interface PackRun {
  readonly plainBytes: number;
  readonly chunks: () => AsyncIterable<Buffer>;
}

function packsOf(
  { packs, archives }: Pick<BackupManifest, "packs" | "archives">,
  index: number,
): readonly ManifestObject[] {
  const first = archives.slice(0, index).reduce((sum, archive) => sum + archive.packs, 0);
  return packs.slice(first, first + archives[index]!.packs);
}
