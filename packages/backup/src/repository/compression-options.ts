import { constants } from "node:zlib";
import { largestCompressed } from "./frame.ts";

/** How frames are made smaller before they are encrypted. */
export interface Compression {
  readonly algorithm: "zstd" | "gzip" | "none";
  /** zstd 1-19, gzip 1-9; ignored for none. */
  readonly level: number;
}

/** In the order of their numbers in an object's header. */
export const algorithms = ["none", "zstd", "gzip"] as const;

// By default the output comes in pieces of 16 KiB that are put together afterwards: twice the memory.
const gzipChunkBytes = 256 * 1024;

/** For Node's zlib, to compress that many bytes at once. */
export function compressionOptions(
  bytes: number,
  { algorithm, level }: Compression,
): { readonly chunkSize: number; readonly level?: number; readonly params?: Record<number, number> } {
  if (algorithm === "gzip") return { level, chunkSize: gzipChunkBytes };
  // With room for the worst case zstd works straight from one buffer into the other (ZSTD_compressBound); the part
  // that stays unused is never touched.
  return { params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize: largestCompressed(bytes) };
}
