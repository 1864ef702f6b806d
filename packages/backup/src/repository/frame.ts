import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject } from "node:crypto";

// A frame of a sealed object as it is stored: u32 LE, the length of what follows, its highest bit set on the last frame;
// then the frame, compressed first, encrypted second (ciphertext and 16 bytes tag). The nonce counts frames; the
// additional data is SHA-256(object's header), frame number and last mark. So no frame can be cut, moved, or swapped.

/** Plain bytes per frame. */
export const frameBytes: number = 2 * 1024 * 1024;
/** Bytes of the length before each frame, its highest bit the mark of the last one. */
export const lengthBytes = 4;
export const lastMark = 0x8000_0000;
export const tagBytes = 16;
/** Memory for one frame: its length, and bytes that may not become smaller by compression. */
export const slotBytes: number = lengthBytes + largestCompressed(frameBytes) + tagBytes;

/** What encrypts the frames of one object. */
export interface FrameKey {
  readonly key: Uint8Array;
  /** SHA-256 of the object's header. */
  readonly headerDigest: Uint8Array;
}

/** Which frame of its object it is. */
export interface FramePlace {
  readonly index: number;
  readonly last: boolean;
}

/** The most bytes zstd or gzip make of that many. */
export function largestCompressed(bytes: number): number {
  return bytes + (bytes >>> 8) + 1024;
}

export function frameKey(key: Uint8Array, header: Uint8Array): FrameKey {
  return { key, headerDigest: createHash("sha256").update(header).digest() };
}

/**
 * Puts a frame together as it is stored, at the beginning of `slot`.
 * @param compressed elsewhere, or in the slot behind the length
 * @returns how many bytes it takes
 */
export function storeFrame(
  slot: Uint8Array,
  compressed: Uint8Array,
  place: FramePlace,
  key: FrameKey | undefined,
): number {
  const bodyBytes = compressed.length + (key ? tagBytes : 0);
  const mark = place.last ? lastMark : 0;
  new DataView(slot.buffer, slot.byteOffset).setUint32(0, (bodyBytes | mark) >>> 0, true);
  if (!key) {
    if (compressed.buffer !== slot.buffer) slot.set(compressed, lengthBytes);
    return lengthBytes + bodyBytes;
  }
  const { nonce, aad } = parametersOf(place, key);
  const cipher = createCipheriv("aes-256-gcm", secretOf(key), nonce).setAAD(aad);
  const encrypted = cipher.update(compressed);
  cipher.final();
  slot.set(encrypted, lengthBytes);
  releaseMemory(encrypted);
  slot.set(cipher.getAuthTag(), lengthBytes + compressed.length);
  return lengthBytes + bodyBytes;
}

/**
 * Decrypts a frame's body in place.
 * @returns the part of it that is compressed plain text
 * @throws when it does not authenticate; what is in `body` is nothing then
 */
export function decryptFrame(body: Uint8Array, place: FramePlace, key: FrameKey): Uint8Array {
  const { nonce, aad } = parametersOf(place, key);
  const length = Math.max(0, body.length - tagBytes);
  const decipher = createDecipheriv("aes-256-gcm", secretOf(key), nonce, { authTagLength: tagBytes });
  decipher.setAAD(aad).setAuthTag(body.slice(length));
  const decrypted = decipher.update(body.subarray(0, length));
  body.set(decrypted);
  releaseMemory(decrypted);
  decipher.final();
  return body.subarray(0, length);
}

/**
 * Frees the memory of a result that nobody needs any more, at once: waiting for the collector, megabytes a frame, would
 * keep it busy. Small ones, which lie in memory they share, are left to it.
 */
export function releaseMemory({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

let latest: { readonly bytes: Uint8Array; readonly secret: KeyObject } | undefined;

/** The key as a cipher takes it, made once an object: made for each frame, it costs half as much as encrypting the frame. */
function secretOf({ key }: FrameKey): KeyObject {
  if (!latest || Buffer.compare(latest.bytes, key) !== 0) {
    latest = { bytes: Uint8Array.from(key), secret: createSecretKey(key) };
  }
  return latest.secret;
}

function parametersOf(place: FramePlace, { headerDigest }: FrameKey): { nonce: Uint8Array; aad: Uint8Array } {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(place.index, 8);
  const aad = Buffer.alloc(37);
  aad.set(headerDigest);
  aad.writeUInt32BE(place.index, 32);
  aad[36] = place.last ? 1 : 0;
  return { nonce, aad };
}
