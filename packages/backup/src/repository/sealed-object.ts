import { createHash, type Hash, randomBytes } from "node:crypto";
import { CorruptObjectError } from "../errors.ts";
import { algorithms, type Compression } from "./compression-options.ts";
import { zstdAvailable } from "./compression.ts";
import { frameBytes, type FrameKey, frameKey, largestCompressed, lastMark, lengthBytes, tagBytes } from "./frame.ts";
import { FrameError, type FrameOpener, localOpener, type OpenedFrame } from "./frame-opener.ts";
import { createLocalSealer, type FrameSealer, type Slot } from "./frame-sealer.ts";
import { deriveKey } from "./key.ts";
import type { ObjectWriter, Storage } from "./storage.ts";

export { type Compression } from "./compression-options.ts";
export { zstdAvailable } from "./compression.ts";
export { frameBytes } from "./frame.ts";

/** What a sealed object turned out to be, once written. */
export interface SealedSummary {
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** The SHA-256 at the object's end: of every stored byte before it. */
  readonly sha256: string;
}

// A sealed object: 44 bytes header, frames as frame.ts has them, 32 bytes SHA-256 of all before.
//   header  "DBBK", version 1, compression (0 none, 1 zstd, 2 gzip), encryption (0 none, 1 AES-256-GCM), 0,
//           frame size (u32 LE, plain bytes), salt (32 bytes; zeros when not encrypted)
// Every frame but the last holds exactly the frame size. The object key is HKDF-SHA256(data key, salt,
// "db-backup/v1|" + path in the repository).
const magic = Buffer.from("DBBK");
const headerBytes = 44;
const digestBytes = 32;

/** How an object is sealed. */
export interface SealingOptions {
  readonly dataKey: Uint8Array | undefined;
  readonly compression: Compression;
  readonly signal?: AbortSignal | undefined;
  /** Who compresses and encrypts. Default: this thread, which leaves compression to the system's. */
  readonly sealer?: FrameSealer | undefined;
}

/** Writes one object in frames; holds at most a few frames in memory. */
export class SealedWriter {
  readonly #writer: ObjectWriter;
  readonly #compression: Compression;
  readonly #sealer: FrameSealer;
  readonly #hash: Hash = createHash("sha256");
  readonly #key: FrameKey | undefined;
  /** The frame being filled; none once the last one is sealed. */
  #slot: Slot | undefined;
  #used = 0;
  #frames = 0;
  #plainBytes = 0;
  #storedBytes = 0;
  /** Everything sealed so far, in order. */
  #storing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  private constructor(writer: ObjectWriter, sealer: FrameSealer, compression: Compression, key: FrameKey | undefined) {
    this.#writer = writer;
    this.#sealer = sealer;
    this.#compression = compression;
    this.#key = key;
  }

  static async create(storage: Storage, key: string, options: SealingOptions): Promise<SealedWriter> {
    const { dataKey, compression, signal, sealer = createLocalSealer() } = options;
    const writer = await storage.create(key, { signal });
    const salt = dataKey ? randomBytes(32) : Buffer.alloc(32);
    const header = Buffer.concat([magic, Buffer.alloc(8), salt]);
    header[4] = 1;
    header[5] = algorithms.indexOf(compression.algorithm);
    header[6] = dataKey ? 1 : 0;
    header.writeUInt32LE(frameBytes, 8);
    const objectKey = dataKey ? frameKey(deriveKey(dataKey, salt, key), header) : undefined;
    const sealed = new SealedWriter(writer, sealer, compression, objectKey);
    sealed.#queue(async () => sealed.#store(header));
    return sealed;
  }

  /** Plain bytes taken so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  /**
   * Takes bytes; a returned promise asks the caller to wait before giving more. The chunk is copied at once.
   * @throws what kept an earlier frame from being stored
   */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.error;
    let at = 0;
    while (at < chunk.length) {
      // Made lazily: a full frame is sealed only when there is a byte for the next, so the last one is known.
      if (this.#used === frameBytes) this.#seal(false);
      const slot = (this.#slot ??= this.#sealer.take());
      const length = Math.min(frameBytes - this.#used, chunk.length - at);
      slot.set(length === chunk.length ? chunk : chunk.subarray(at, at + length), lengthBytes + this.#used);
      this.#used += length;
      at += length;
    }
    this.#plainBytes += chunk.length;
    return this.#sealer.room();
  }

  /** Seals the last frame and makes the object durable. */
  async finish(): Promise<SealedSummary> {
    this.#seal(true);
    await this.#storing;
    if (this.#failure) throw this.#failure.error;
    const digest = this.#hash.digest();
    await this.#writer.write(digest);
    await this.#writer.commit();
    const storedBytes = this.#storedBytes + digestBytes;
    return { plainBytes: this.#plainBytes, storedBytes, sha256: digest.toString("hex") };
  }

  /** Leaves nothing; never throws. Not together with `finish`. */
  async abort(): Promise<void> {
    if (this.#slot) this.#sealer.give(this.#slot);
    this.#slot = undefined;
    await this.#storing;
    await this.#writer.abort();
  }

  /** Hands the frame to be sealed; it is stored when all before it are. */
  #seal(last: boolean): void {
    const slot = this.#slot ?? this.#sealer.take();
    this.#slot = undefined;
    const used = this.#used;
    this.#used = 0;
    const sealed = this.#sealer.seal(slot, used, this.#compression, { index: this.#frames++, last }, this.#key);
    // Taken when it is awaited, in its turn; until then it must not count as unhandled.
    sealed.catch(() => undefined);
    this.#queue(async () => {
      const frame = await sealed.catch((error: unknown) => {
        this.#sealer.lose();
        throw error;
      });
      try {
        await this.#store(frame.slot.subarray(0, frame.bytes));
      } finally {
        this.#sealer.give(frame.slot);
      }
    });
  }

  /** Runs work after all before it, whatever came of that, and remembers the first failure. */
  #queue(work: () => Promise<void>): void {
    this.#storing = this.#storing.then(work).catch((error: unknown) => void (this.#failure ??= { error }));
  }

  async #store(bytes: Uint8Array): Promise<void> {
    if (this.#failure) return;
    this.#storedBytes += bytes.length;
    this.#hash.update(bytes);
    await this.#writer.write(bytes);
  }
}

/**
 * Reads a sealed object frame by frame; each frame is checked before it is given. Nothing after the last one is
 * trusted to be absent: the object must end there.
 * @throws {CorruptObjectError}
 */
export async function* readSealed(
  storage: Storage,
  key: string,
  options: {
    readonly dataKey: Uint8Array | undefined;
    /** The digest the backup's manifest has for the object, where it has one. */
    readonly expectedSha256?: string | undefined;
    readonly signal?: AbortSignal | undefined;
    /**
     * Who decrypts and decompresses; by default this thread and the system's. What threads give is good until the next
     * but one is asked for.
     */
    readonly opener?: FrameOpener | undefined;
    /**
     * Where frames lent to the reader are kept. Give the same to the next object of a run: the last frame of one is
     * still in the reader's hands when the next one's first is asked for. The end of the run gives back what is left.
     */
    readonly lent?: OpenedFrame[] | undefined;
  },
): AsyncGenerator<Buffer> {
  // Where every frame authenticates, the digest need not be computed again: it is compared with the manifest's.
  const hashing = options.dataKey === undefined || options.expectedSha256 === undefined;
  const input = new ExactReader(storage.read(key, { signal: options.signal, reuse: true }), key, hashing);
  const ahead: Promise<OpenedFrame>[] = [];
  let opener = options.opener ?? localOpener;
  const given = options.lent ?? [];
  const giveBack = (most: number): void => {
    while (given.length > most) {
      const { slot } = given.shift()!;
      if (slot) opener.give(slot);
    }
  };
  try {
    const header = Buffer.from(await input.take(headerBytes));
    const { compression, encrypted, frameSize } = parseHeader(header, key);
    if (encrypted && !options.dataKey) throw new CorruptObjectError(key, "is encrypted, its backup is not");
    if (!encrypted && options.dataKey) throw new CorruptObjectError(key, "is not encrypted, its backup is");
    if (compression === "zstd" && !zstdAvailable) {
      throw new CorruptObjectError(key, "is compressed with zstd, which this Node does not have", {
        hint: "Restore with Node 22.15 or newer.",
      });
    }
    // Threads have memory for frames of the usual size, and smaller ones, which earlier backups have.
    if (frameSize > frameBytes) opener = localOpener;
    const objectKey = options.dataKey
      ? frameKey(deriveKey(options.dataKey, header.subarray(12), key), header)
      : undefined;
    for (let index = 0, last = false; !last; index++) {
      const mark = (await input.take(lengthBytes)).readUInt32LE();
      last = mark >= lastMark;
      const length = mark % lastMark;
      if (length > largestCompressed(frameSize) + tagBytes) {
        throw new CorruptObjectError(key, `frame ${index} has an impossible length`);
      }
      const slot = opener.take(length);
      await input.into(slot, lengthBytes, length);
      const place = { index, last };
      const opened = opener.open(slot, length, compression, frameSize, place, objectKey).then(
        (frame) => {
          if (last || frame.plain.length === frameSize) return frame;
          throw new CorruptObjectError(key, `frame ${index} is too short`);
        },
        (error: unknown) => {
          opener.lose();
          throw explainFrame(error, index, key);
        },
      );
      // Awaited in its turn; until then a failure must not count as unhandled.
      opened.catch(() => undefined);
      ahead.push(opened);
      if (last) await input.finish(options.expectedSha256);
      while (ahead.length > (last ? 0 : opener.ahead)) {
        const frame = await ahead.shift()!;
        given.push(frame);
        if (frame.plain.length > 0) yield frame.plain;
        giveBack(1);
      }
    }
  } finally {
    for (const result of await Promise.allSettled(ahead)) if (result.status === "fulfilled") given.push(result.value);
    giveBack(options.lent ? 1 : 0);
    await input.close();
  }
}

/**
 * Checks a stored object without any key: its digest, and that it is the one its backup names.
 * @returns the stored bytes read
 * @throws {CorruptObjectError} @throws {ObjectNotFoundError}
 */
export async function checkSealed(
  storage: Storage,
  key: string,
  expected: { readonly sha256?: string; readonly storedBytes?: number },
  signal?: AbortSignal,
): Promise<number> {
  const hash = createHash("sha256");
  let tail: Buffer = Buffer.alloc(0);
  let length = 0;
  for await (const chunk of storage.read(key, { signal })) {
    length += chunk.length;
    const joined = Buffer.concat([tail, chunk]);
    const cut = Math.max(0, joined.length - digestBytes);
    hash.update(joined.subarray(0, cut));
    tail = joined.subarray(cut);
  }
  if (expected.storedBytes !== undefined && length !== expected.storedBytes) {
    throw new CorruptObjectError(key, `has ${length} bytes instead of ${expected.storedBytes}`);
  }
  const digest = hash.digest("hex");
  if (tail.toString("hex") !== digest || (expected.sha256 !== undefined && expected.sha256 !== digest)) {
    throw new CorruptObjectError(key, "does not match its checksum");
  }
  return length;
}

function explainFrame(error: unknown, index: number, key: string): unknown {
  if (!(error instanceof FrameError)) return error;
  const what = error.step === "decrypt" ? "does not authenticate" : "does not decompress";
  return new CorruptObjectError(key, `frame ${index} ${what}`, { cause: error.cause });
}

/** Hands out exactly the bytes asked for, hashing them. */
class ExactReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #key: string;
  readonly #hash: Hash | undefined;
  #chunks: Buffer[] = [];
  #available = 0;

  /** @param hashing false: the digest at the end is only compared with the one expected */
  constructor(source: AsyncIterable<Uint8Array>, key: string, hashing: boolean) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#key = key;
    this.#hash = hashing ? createHash("sha256") : undefined;
  }

  /** @returns bytes that are good until more are asked for */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.#read(length);
    this.#hash?.update(bytes);
    return bytes;
  }

  /** Copies the next bytes to where they are wanted. */
  async into(target: Buffer, at: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      if (this.#available === 0) await this.#more();
      const first = this.#chunks[0]!;
      const part = first.subarray(0, length - done);
      part.copy(target, at + done);
      this.#hash?.update(part);
      done += part.length;
      this.#available -= part.length;
      if (part.length === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(part.length);
    }
  }

  /** The digest follows, and nothing after it. */
  async finish(expected: string | undefined): Promise<void> {
    const stored = (await this.#read(digestBytes)).toString("hex");
    const digest = this.#hash?.digest("hex") ?? stored;
    if (stored !== digest || (expected !== undefined && expected !== digest)) {
      throw new CorruptObjectError(this.#key, "does not match its checksum");
    }
    if (this.#available > 0 || !(await this.#iterator.next()).done) {
      throw new CorruptObjectError(this.#key, "goes on after its end");
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #more(): Promise<void> {
    // What is left of the chunks before is copied: their memory is filled again.
    if (this.#available > 0) this.#chunks = [Buffer.concat(this.#chunks)];
    const { value, done } = await this.#iterator.next();
    if (done) throw new CorruptObjectError(this.#key, "is cut short");
    if (value.length === 0) return this.#more();
    this.#chunks.push(Buffer.from(value.buffer, value.byteOffset, value.length));
    this.#available += value.length;
  }

  async #read(length: number): Promise<Buffer> {
    while (this.#available < length) await this.#more();
    const first = this.#chunks[0];
    const all = first && first.length >= length ? first : Buffer.concat(this.#chunks);
    if (all !== first) this.#chunks = [all];
    this.#chunks[0] = all.subarray(length);
    if (this.#chunks[0].length === 0) this.#chunks.shift();
    this.#available -= length;
    return all.subarray(0, length);
  }
}

function parseHeader(
  header: Buffer,
  key: string,
): { compression: (typeof algorithms)[number]; encrypted: boolean; frameSize: number } {
  const compression = algorithms[header[5]!];
  const frameSize = header.readUInt32LE(8);
  const known = header.subarray(0, 4).equals(magic) && header[4] === 1 && header[6]! <= 1 && header[7] === 0;
  if (!known || !compression || frameSize < 4096 || frameSize > 64 * 1024 * 1024) {
    throw new CorruptObjectError(key, "is not an object of this format");
  }
  return { compression, encrypted: header[6] === 1, frameSize };
}
