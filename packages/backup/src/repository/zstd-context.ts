import { constants, createZstdCompress, zstdDecompressSync } from "node:zlib";
import { largestCompressed } from "./frame.ts";

/** Compresses one frame after the other, each on its own. */
export interface ZstdContext {
  /**
   * @param target with room for `largestCompressed` of the input
   * @returns how many bytes of `target` the frame takes
   */
  compress(plain: Uint8Array, target: Uint8Array): number;
}

/** What lies below a stream of Node's zlib. It has been so since Node 8, but no page promises it. */
interface StreamInside {
  readonly _handle?: {
    writeSync?: (
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputBytes: number,
      output: Uint8Array,
      outputAt: number,
      outputBytes: number,
    ) => void;
  };
  /** Room left in the output, and bytes left of the input. */
  readonly _writeState?: Uint32Array;
}

/**
 * One zstd context for all frames of a thread. Node's own call makes a context, its stream and memory for the result
 * anew each time and leaves them to the collector, which is a sixth of the time.
 * @returns undefined where this Node is different inside or the trial fails: then that call does it
 */
export function openZstdContext(level: number): ZstdContext | undefined {
  const usual = open({ [constants.ZSTD_c_compressionLevel]: level });
  if (level !== 1) return usual;
  const narrow = open({ [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_hashLog]: narrowLog });
  return usual && narrow && chooseByTrial(usual, narrow);
}

// Level 1 finds what repeats by a table of 64 KiB, more than a processor's first cache holds; one of 16 KiB takes a tenth less
// time. Rows become as small by it, plain text and JSON a tenth larger.
const narrowLog = 12;
const trialBytes = 256 * 1024;
/** A trial takes a sixth of a frame's time. */
const framesPerTrial = 16;
const largestLoss = 1.01;

/** Tries now and then which of two makes enough of what comes, and goes on with the faster one where both do. */
function chooseByTrial(usual: ZstdContext, faster: ZstdContext): ZstdContext {
  let frames = 0;
  let chosen = usual;
  return {
    compress(plain, target) {
      if (frames++ % framesPerTrial === 0) {
        const sample = plain.subarray(0, trialBytes);
        const least = usual.compress(sample, target);
        chosen = faster.compress(sample, target) <= least * largestLoss ? faster : usual;
      }
      return chosen.compress(plain, target);
    },
  };
}

/** @see https://github.com/nodejs/node/blob/v24.x/lib/zlib.js processChunkSync, which does the same */
function open(params: Readonly<Record<number, number>>): ZstdContext | undefined {
  try {
    const stream = createZstdCompress({ params });
    const { _handle: handle, _writeState: state } = stream as unknown as StreamInside;
    if (typeof handle?.writeSync !== "function" || !(state instanceof Uint32Array)) return undefined;
    let failure: string | undefined;
    // Else the stream would be destroyed, and tell of it as an event that nobody hears.
    Object.assign(handle, { onerror: (message: string) => void (failure ??= message) });
    const context: ZstdContext = {
      compress(plain, target) {
        handle.writeSync!(constants.ZSTD_e_end, plain, 0, plain.length, target, 0, target.length);
        const [room, unread] = state;
        // A frame that did not end would go on in the next one.
        if (unread !== 0 || room === 0) failure ??= "zstd did not end a frame";
        if (failure !== undefined) throw new Error(failure);
        return target.length - room!;
      },
    };
    return passes(context) ? context : undefined;
  } catch {
    return undefined;
  }
}

/** Two frames, so that what the first leaves behind would show in the second. */
function passes(context: ZstdContext): boolean {
  const samples = [Buffer.alloc(3_000, "a page of rows, "), Buffer.alloc(70_000, "another one, ")];
  return samples.every((sample) => {
    const target = Buffer.alloc(largestCompressed(sample.length));
    return zstdDecompressSync(target.subarray(0, context.compress(sample, target))).equals(sample);
  });
}
