import { createCipheriv, createDecipheriv, createHash, type Hash, randomBytes } from "node:crypto";
import { CorruptObjectError } from "../errors.ts";
import { algorithms, compress, type Compression, decompress } from "./compression.ts";
import { deriveKey } from "./key.ts";
import type { ObjectWriter, Storage } from "./storage.ts";

export { type Compression, zstdAvailable } from "./compression.ts";

/** What a sealed object turned out to be, once written. */
export interface SealedSummary {
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** The SHA-256 at the object's end: of every stored byte before it. */
  readonly sha256: string;
}

// A sealed object: 44 bytes header, frames, 32 bytes SHA-256 of all before.
//   header  "DBBK", version 1, compression (0 none, 1 zstd, 2 gzip), encryption (0 none, 1 AES-256-GCM), 0,
//           frame size (u32 LE, plain bytes), salt (32 bytes; zeros when not encrypted)
//   frame   u32 LE: length of what follows, its highest bit set on the last frame; then the frame, compressed first,
//           encrypted second (ciphertext and 16 bytes tag). Every frame but the last holds exactly the frame size.
// The object key is HKDF-SHA256(data key, salt, "db-backup/v1|" + path in the repository); the nonce counts frames; the
// additional data is SHA-256(header), frame number and last mark. So no frame can be cut, moved, or swapped.
const magic = Buffer.from("DBBK");
const headerBytes = 44;
const digestBytes = 32;
const tagBytes = 16;
const lastMark = 0x8000_0000;
const framesInFlight = 3;
const cipherPieceBytes = 16 * 1024;
const stretchBytes = 512 * 1024;
/** Frames unpacked before they are asked for. */
const framesAhead = 2;

/** Plain bytes per frame. */
export const frameBytes: number = 2 * 1024 * 1024;

// Frames are filled again and again: a fresh buffer for each would grow memory until the collector comes round.
const spareBuffers: Buffer[] = [];
const mostSpareBuffers = 8;

function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(frameBytes);
}

function giveBuffer(buffer: Buffer): void {
  if (spareBuffers.length < mostSpareBuffers) spareBuffers.push(buffer);
}

/** Writes one object in frames; holds at most a few frames in memory. */
export class SealedWriter {
  readonly #writer: ObjectWriter;
  readonly #compression: Compression;
  readonly #hash: Hash = createHash("sha256");
  readonly #header: Buffer;
  readonly #cipher: FrameCipher | undefined;
  readonly #pending: { readonly frame: Promise<Buffer>; readonly buffer: Buffer }[] = [];
  #buffer: Buffer = takeBuffer();
  #used = 0;
  #stretch: Buffer = Buffer.allocUnsafeSlow(stretchBytes);
  #otherStretch: Buffer | undefined;
  #stretchUsed = 0;
  #writing: Promise<void> = Promise.resolve();
  #frames = 0;
  #plainBytes = 0;
  #storedBytes = 0;

  private constructor(writer: ObjectWriter, key: string, dataKey: Uint8Array | undefined, compression: Compression) {
    this.#writer = writer;
    this.#compression = compression;
    const salt = dataKey ? randomBytes(32) : Buffer.alloc(32);
    this.#header = Buffer.concat([magic, Buffer.alloc(8), salt]);
    this.#header[4] = 1;
    this.#header[5] = algorithms.indexOf(compression.algorithm);
    this.#header[6] = dataKey ? 1 : 0;
    this.#header.writeUInt32LE(frameBytes, 8);
    this.#cipher = dataKey ? new FrameCipher(deriveKey(dataKey, salt, key), this.#header) : undefined;
  }

  static async create(
    storage: Storage,
    key: string,
    options: {
      readonly dataKey: Uint8Array | undefined;
      readonly compression: Compression;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<SealedWriter> {
    const writer = await storage.create(key, { signal: options.signal });
    const sealed = new SealedWriter(writer, key, options.dataKey, options.compression);
    try {
      await sealed.#store(sealed.#header);
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return sealed;
  }

  /** Plain bytes taken so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  /** Takes bytes; a returned promise asks the caller to wait before giving more. The chunk is copied at once. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    let at = 0;
    while (at < chunk.length) {
      // Made lazily: a full buffer is sealed only when there is a byte for the next, so the last frame is known.
      if (this.#used === frameBytes) this.#seal();
      const length = Math.min(frameBytes - this.#used, chunk.length - at);
      this.#buffer.set(chunk.subarray(at, at + length), this.#used);
      this.#used += length;
      at += length;
    }
    this.#plainBytes += chunk.length;
    return this.#pending.length >= framesInFlight ? this.#drain(framesInFlight - 1) : undefined;
  }

  /** Seals the last frame and makes the object durable. */
  async finish(): Promise<SealedSummary> {
    this.#seal();
    await this.#drain(1);
    await this.#emitFirst(true);
    giveBuffer(this.#buffer);
    await this.#flush();
    await this.#writing;
    const digest = this.#hash.digest();
    await this.#writer.write(digest);
    await this.#writer.commit();
    const storedBytes = this.#storedBytes + digestBytes;
    return { plainBytes: this.#plainBytes, storedBytes, sha256: digest.toString("hex") };
  }

  async abort(): Promise<void> {
    await Promise.allSettled([...this.#pending.map(({ frame }) => frame), this.#writing]);
    await this.#writer.abort();
  }

  #seal(): void {
    const frame = compress(this.#buffer.subarray(0, this.#used), this.#compression);
    // A failure is taken by the drain that awaits it; until then it must not count as unhandled.
    frame.catch(() => undefined);
    this.#pending.push({ frame, buffer: this.#buffer });
    this.#buffer = takeBuffer();
    this.#used = 0;
  }

  async #drain(limit: number): Promise<void> {
    while (this.#pending.length > limit) await this.#emitFirst(false);
  }

  async #emitFirst(last: boolean): Promise<void> {
    const { frame, buffer } = this.#pending.shift()!;
    await this.#emit(await frame, last);
    // Stored: nothing reads these bytes any more.
    giveBuffer(buffer);
  }

  async #emit(frame: Buffer, last: boolean): Promise<void> {
    const length = Buffer.alloc(4);
    const bodyBytes = frame.length + (this.#cipher ? tagBytes : 0);
    length.writeUInt32LE((bodyBytes | (last ? lastMark : 0)) >>> 0);
    await this.#store(length);
    const body = this.#cipher ? this.#cipher.seal(frame, this.#frames, last) : [frame];
    this.#frames++;
    for (const part of body) {
      const held = this.#store(part);
      if (held) await held;
    }
  }

  /** Copies bytes to be stored; a returned promise asks to wait. One stretch is written while the next is gathered. */
  #store(bytes: Uint8Array): Promise<void> | undefined {
    this.#storedBytes += bytes.length;
    let at = 0;
    const take = (): boolean => {
      const length = Math.min(bytes.length - at, this.#stretch.length - this.#stretchUsed);
      this.#stretch.set(bytes.subarray(at, at + length), this.#stretchUsed);
      this.#stretchUsed += length;
      at += length;
      return this.#stretchUsed === this.#stretch.length;
    };
    if (!take()) return undefined;
    return (async () => {
      do await this.#flush();
      while (take());
    })();
  }

  /** Hands the gathered stretch to the storage once the one before is there. */
  async #flush(): Promise<void> {
    await this.#writing;
    const stretch = this.#stretch.subarray(0, this.#stretchUsed);
    this.#hash.update(stretch);
    const written = this.#writer.write(stretch);
    // A failure is taken by whoever waits next; until then it must not count as unhandled.
    written.catch(() => undefined);
    this.#writing = written;
    [this.#stretch, this.#otherStretch] = [this.#otherStretch ?? Buffer.allocUnsafeSlow(stretchBytes), this.#stretch];
    this.#stretchUsed = 0;
  }
}

/**
 * Reads a sealed object frame by frame; each frame is checked before it is given. Nothing after the last one is
 * trusted to be absent: the object must end there.
 * @param expectedSha256 the digest the backup's manifest has for the object, where it has one
 * @throws {CorruptObjectError}
 */
export async function* readSealed(
  storage: Storage,
  key: string,
  options: {
    readonly dataKey: Uint8Array | undefined;
    readonly expectedSha256?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<Buffer> {
  // Where every frame authenticates, the digest need not be computed again: it is compared with the manifest's.
  const hashing = options.dataKey === undefined || options.expectedSha256 === undefined;
  const input = new ExactReader(storage.read(key, { signal: options.signal }), key, hashing);
  const ahead: Promise<Buffer>[] = [];
  try {
    const header = await input.take(headerBytes);
    const { compression, encrypted, frameSize } = parseHeader(header, key);
    if (encrypted && !options.dataKey) throw new CorruptObjectError(key, "is encrypted, its backup is not");
    if (!encrypted && options.dataKey) throw new CorruptObjectError(key, "is not encrypted, its backup is");
    const cipher = options.dataKey
      ? new FrameCipher(deriveKey(options.dataKey, header.subarray(12), key), header)
      : undefined;
    const openFrame = async (body: Buffer, index: number, last: boolean): Promise<Buffer> => {
      const frame = cipher ? cipher.open(body, index, last, key) : body;
      const plain = await decompress(frame, compression, frameSize, key);
      // Unpacked: what was decrypted is not needed any more, and its buffer serves the next frame.
      if (cipher && plain !== frame && frame.buffer.byteLength === frameBytes) giveBuffer(Buffer.from(frame.buffer));
      return plain;
    };
    for (let index = 0, last = false; !last; index++) {
      const mark = (await input.take(4)).readUInt32LE();
      last = mark >= lastMark;
      const length = mark % lastMark;
      if (length > frameSize * 2 + 1024) throw new CorruptObjectError(key, `frame ${index} has an impossible length`);
      const body = await input.take(length);
      const whole = openFrame(body, index, last).then((plain) => {
        if (!last && plain.length !== frameSize) throw new CorruptObjectError(key, `frame ${index} is too short`);
        return plain;
      });
      // Awaited in its turn; until then a failure must not count as unhandled.
      whole.catch(() => undefined);
      ahead.push(whole);
      if (last) await input.finish(options.expectedSha256);
      while (ahead.length > (last ? 0 : framesAhead)) {
        const plain = await ahead.shift()!;
        if (plain.length > 0) yield plain;
      }
    }
  } finally {
    await Promise.allSettled(ahead);
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

class FrameCipher {
  readonly #key: Buffer;
  readonly #headerDigest: Buffer;

  constructor(key: Buffer, header: Buffer) {
    this.#key = key;
    this.#headerDigest = createHash("sha256").update(header).digest();
  }

  seal(frame: Buffer, index: number, last: boolean): Buffer[] {
    const { nonce, aad } = this.#parameters(index, last);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(aad);
    // Small pieces: a large result is fresh memory from the system each time, which costs more than the encryption.
    const sealed: Buffer[] = [];
    for (let at = 0; at < frame.length; at += cipherPieceBytes) {
      sealed.push(cipher.update(frame.subarray(at, at + cipherPieceBytes)));
    }
    return [...sealed, cipher.final(), cipher.getAuthTag()];
  }

  open(body: Buffer, index: number, last: boolean, key: string): Buffer {
    const { nonce, aad } = this.#parameters(index, last);
    const length = Math.max(0, body.length - tagBytes);
    const plain = length <= frameBytes ? takeBuffer().subarray(0, length) : Buffer.allocUnsafeSlow(length);
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagBytes });
      decipher.setAAD(aad).setAuthTag(body.subarray(length));
      for (let at = 0; at < length; at += cipherPieceBytes) {
        plain.set(decipher.update(body.subarray(at, Math.min(at + cipherPieceBytes, length))), at);
      }
      decipher.final();
      return plain;
    } catch (cause) {
      throw new CorruptObjectError(key, `frame ${index} does not authenticate`, { cause });
    }
  }

  #parameters(index: number, last: boolean): { nonce: Buffer; aad: Buffer } {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(index, 8);
    const aad = Buffer.alloc(37);
    this.#headerDigest.copy(aad);
    aad.writeUInt32BE(index, 32);
    aad[36] = last ? 1 : 0;
    return { nonce, aad };
  }
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

  async take(length: number): Promise<Buffer> {
    const bytes = await this.#read(length);
    this.#hash?.update(bytes);
    return bytes;
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

  async #read(length: number): Promise<Buffer> {
    while (this.#available < length) {
      const { value, done } = await this.#iterator.next();
      if (done) throw new CorruptObjectError(this.#key, "is cut short");
      this.#chunks.push(Buffer.from(value.buffer, value.byteOffset, value.length));
      this.#available += value.length;
    }
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
