import { parentPort } from "node:worker_threads";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type Compression, compressionOptions } from "./compression-options.ts";
import {
  decryptFrame,
  type FrameKey,
  type FramePlace,
  lengthBytes,
  releaseMemory,
  slotBytes,
  storeFrame,
} from "./frame.ts";
import { openZstdContext, type ZstdContext } from "./zstd-context.ts";

/** A frame to seal, or to open. */
export type FrameWork = SealWork | OpenWork;

interface SealWork {
  readonly verb: "seal";
  readonly plainBytes: number;
  readonly compression: Compression;
  readonly place: FramePlace;
  readonly key: FrameKey | undefined;
}

interface OpenWork {
  readonly verb: "open";
  /** Behind the length. */
  readonly bodyBytes: number;
  readonly algorithm: Compression["algorithm"];
  /** Most bytes it may hold. */
  readonly limit: number;
  readonly place: FramePlace;
  readonly key: FrameKey | undefined;
}

/** The memory comes along, and goes back with the answer: it, or other memory in its place. */
export interface FrameTask {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly work: FrameWork;
}

/** Where the result lies, or what went wrong. */
export interface FrameAnswer {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly begin: number;
  readonly end: number;
  readonly failure?: FrameFailure;
}

/** At which step an opening failed; a sealing has no such thing. */
export interface FrameFailure {
  readonly step: "decrypt" | "decompress" | undefined;
  readonly error: unknown;
}

let step: FrameFailure["step"];

parentPort?.on("message", ({ id, memory, work }: FrameTask) => {
  let answer: FrameAnswer;
  step = undefined;
  try {
    const slot = Buffer.from(memory);
    answer = { id, ...(work.verb === "seal" ? seal(slot, work) : open(slot, work)) };
  } catch (error) {
    answer = { id, memory, begin: 0, end: 0, failure: { step, error } };
  }
  parentPort?.postMessage(answer, [answer.memory]);
});

let kept: { readonly level: number; readonly context: ZstdContext | undefined } | undefined;
/** What frames are compressed into; the part that stays unused is never touched. */
const target = Buffer.allocUnsafeSlow(slotBytes);

type Result = Omit<FrameAnswer, "id">;

function seal(slot: Buffer<ArrayBuffer>, { plainBytes, compression, place, key }: SealWork): Result {
  const plain = slot.subarray(lengthBytes, lengthBytes + plainBytes);
  const result = (end: number): Result => ({ memory: slot.buffer, begin: 0, end });
  if (compression.algorithm === "none" || plainBytes === 0) return result(storeFrame(slot, plain, place, key));
  if (compression.algorithm === "zstd") {
    const { level } = compression;
    if (kept?.level !== level) kept = { level, context: openZstdContext(level) };
    const { context } = kept;
    if (context) return result(storeFrame(slot, target.subarray(0, context.compress(plain, target)), place, key));
  }
  const options = compressionOptions(plainBytes, compression);
  const compressed = compression.algorithm === "gzip" ? gzipSync(plain, options) : zstdCompressSync(plain, options);
  const end = storeFrame(slot, compressed, place, key);
  releaseMemory(compressed);
  return result(end);
}

function open(slot: Buffer<ArrayBuffer>, { bodyBytes, algorithm, limit, place, key }: OpenWork): Result {
  const body = slot.subarray(lengthBytes, lengthBytes + bodyBytes);
  step = "decrypt";
  const frame = key ? decryptFrame(body, place, key) : body;
  const end = lengthBytes + frame.length;
  if (algorithm === "none" || frame.length === 0) return { memory: slot.buffer, begin: lengthBytes, end };
  step = "decompress";
  // As large as a slot: it becomes the next one.
  const options = { maxOutputLength: limit, chunkSize: slotBytes };
  const plain = algorithm === "gzip" ? gunzipSync(frame, options) : zstdDecompressSync(frame, options);
  if (plain.buffer.byteLength !== slotBytes) {
    slot.set(plain, lengthBytes);
    return { memory: slot.buffer, begin: lengthBytes, end: lengthBytes + plain.length };
  }
  slot.buffer.transfer(0);
  return { memory: plain.buffer, begin: plain.byteOffset, end: plain.byteOffset + plain.length };
}
