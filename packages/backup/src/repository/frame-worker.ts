import { parentPort } from "node:worker_threads";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Compression, compressionOptions } from "./compression-options.ts";
import { type FrameKey, type FramePlace, lengthBytes, storeFrame } from "./frame.ts";

/** A frame to seal. The memory comes along, and goes back with the answer. */
export interface FrameTask {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly plainBytes: number;
  readonly compression: Compression;
  readonly place: FramePlace;
  readonly key: FrameKey | undefined;
}

/** How many bytes the frame has now, or what went wrong. */
export interface FrameAnswer {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly bytes: number;
  readonly error?: unknown;
}

parentPort?.on("message", (task: FrameTask) => {
  const { id, memory } = task;
  let answer: FrameAnswer;
  try {
    answer = { id, memory, bytes: seal(task) };
  } catch (error) {
    answer = { id, memory, bytes: 0, error };
  }
  parentPort?.postMessage(answer, [memory]);
});

function seal({ memory, plainBytes, compression, place, key }: FrameTask): number {
  const slot = Buffer.from(memory);
  const plain = slot.subarray(lengthBytes, lengthBytes + plainBytes);
  if (compression.algorithm === "none" || plainBytes === 0) return storeFrame(slot, plain, place, key);
  const options = compressionOptions(plainBytes, compression);
  const compressed = compression.algorithm === "gzip" ? gzipSync(plain, options) : zstdCompressSync(plain, options);
  const bytes = storeFrame(slot, compressed, place, key);
  release(compressed);
  return bytes;
}

/** Frees memory at once: waiting for the collector, megabytes a frame, would keep it busy. */
function release({ buffer, byteLength }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength >= byteLength && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}
