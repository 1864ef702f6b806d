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
 * @see https://github.com/nodejs/node/blob/v24.x/lib/zlib.js processChunkSync, which does the same
 */
export function openZstdContext(level: number): ZstdContext | undefined {
  try {
    const stream = createZstdCompress({ params: parametersOf(level) });
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

/**
 * Level 1 looks things up in a table of 64 KiB, more than a processor's first cache holds. Half of it takes a fifteenth less
 * time, and makes tables of rows no larger, indexes 1 % and plain text 3 %.
 */
function parametersOf(level: number): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, ...(level === 1 && { [constants.ZSTD_c_hashLog]: 13 }) };
}

/** Two frames, so that what the first leaves behind would show in the second. */
function passes(context: ZstdContext): boolean {
  const samples = [Buffer.alloc(3_000, "a page of rows, "), Buffer.alloc(70_000, "another one, ")];
  return samples.every((sample) => {
    const target = Buffer.alloc(largestCompressed(sample.length));
    return zstdDecompressSync(target.subarray(0, context.compress(sample, target))).equals(sample);
  });
}
