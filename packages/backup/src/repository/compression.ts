import { promisify } from "node:util";
import { constants, gunzip, gzip, zstdCompress, zstdDecompress } from "node:zlib";
import { CorruptObjectError } from "../errors.ts";

/** How frames are made smaller before they are encrypted. */
export interface Compression {
  readonly algorithm: "zstd" | "gzip" | "none";
  /** zstd 1-19, gzip 1-9; ignored for none. */
  readonly level: number;
}

/** In the order of their numbers in an object's header. */
export const algorithms = ["none", "zstd", "gzip"] as const;

const zstdCompressAsync = typeof zstdCompress === "function" ? promisify(zstdCompress) : undefined;
const zstdDecompressAsync = typeof zstdDecompress === "function" ? promisify(zstdDecompress) : undefined;
const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);

/** True where this Node (22.15 and newer) has zstd. */
export const zstdAvailable: boolean = zstdCompressAsync !== undefined;

// By default the output comes in pieces of 16 KiB that are put together afterwards: twice the memory.
const gzipChunkBytes = 256 * 1024;

/** Compresses one frame, off the main thread. */
export async function compress(frame: Buffer, { algorithm, level }: Compression): Promise<Buffer> {
  if (algorithm === "none" || frame.length === 0) return frame;
  if (algorithm === "gzip") return gzipAsync(frame, { level, chunkSize: gzipChunkBytes });
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  // With room for the worst case zstd works straight from one buffer into the other (ZSTD_compressBound); the part
  // that stays unused is never touched.
  return zstdCompressAsync!(frame, { params, chunkSize: frame.length + (frame.length >>> 8) + 512 });
}

/**
 * @param limit most bytes the frame may hold: a forged one must not fill memory
 * @param key names the object in an error
 * @throws {CorruptObjectError}
 */
export async function decompress(
  frame: Buffer,
  algorithm: (typeof algorithms)[number],
  limit: number,
  key: string,
): Promise<Buffer> {
  if (algorithm === "none" || frame.length === 0) return frame;
  if (algorithm === "zstd" && !zstdDecompressAsync) {
    throw new CorruptObjectError(key, "is compressed with zstd, which this Node does not have", {
      hint: "Restore with Node 22.15 or newer.",
    });
  }
  try {
    const options = { maxOutputLength: limit, chunkSize: limit };
    return await (algorithm === "gzip" ? gunzipAsync : zstdDecompressAsync!)(frame, options);
  } catch (cause) {
    throw new CorruptObjectError(key, "a frame does not decompress", { cause });
  }
}
