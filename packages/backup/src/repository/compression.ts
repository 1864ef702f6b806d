import { promisify } from "node:util";
import { gunzip, gzip, zstdCompress, zstdDecompress } from "node:zlib";
import { type Compression, compressionOptions } from "./compression-options.ts";

export type { Compression } from "./compression-options.ts";

const zstdCompressAsync = typeof zstdCompress === "function" ? promisify(zstdCompress) : undefined;
const zstdDecompressAsync = typeof zstdDecompress === "function" ? promisify(zstdDecompress) : undefined;
const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);

/** True where this Node (22.15 and newer) has zstd. */
export const zstdAvailable: boolean = zstdCompressAsync !== undefined;

/** Compresses one frame, off the main thread. */
export async function compress(frame: Buffer, compression: Compression): Promise<Buffer> {
  const { algorithm } = compression;
  if (algorithm === "none" || frame.length === 0) return frame;
  const options = compressionOptions(frame.length, compression);
  return algorithm === "gzip" ? gzipAsync(frame, options) : zstdCompressAsync!(frame, options);
}

/** @param limit most bytes the frame may hold: a forged one must not fill memory */
export async function decompress(frame: Buffer, algorithm: Compression["algorithm"], limit: number): Promise<Buffer> {
  if (algorithm === "none" || frame.length === 0) return frame;
  const options = { maxOutputLength: limit, chunkSize: limit };
  return algorithm === "gzip" ? gunzipAsync(frame, options) : zstdDecompressAsync!(frame, options);
}
