import { type Compression, decompress } from "./compression.ts";
import { decryptFrame, type FrameKey, type FramePlace, lengthBytes } from "./frame.ts";
import type { Slot } from "./frame-sealer.ts";

/** A frame's plain bytes, and the memory they lie in, where it is to be given back. */
export interface OpenedFrame {
  readonly plain: Buffer;
  readonly slot: Slot | undefined;
}

/** Opens stored frames: here, or in threads of its own. */
export interface FrameOpener {
  /** How many frames it is worth to have under way. */
  readonly ahead: number;
  /** Memory for a frame's body of that length, behind `lengthBytes`. Give it back, or the one `open` brings. */
  take(bodyBytes: number): Slot;
  give(slot: Slot): void;
  lose(): void;
  /**
   * Takes the slot away.
   * @param limit most bytes the frame may hold: a forged one must not fill memory
   * @throws {FrameError}
   */
  open(
    slot: Slot,
    bodyBytes: number,
    algorithm: Compression["algorithm"],
    limit: number,
    place: FramePlace,
    key: FrameKey | undefined,
  ): Promise<OpenedFrame>;
}

/** A stored frame is not what it should be. Whoever knows the object's name tells of it. */
export class FrameError extends Error {
  readonly step: "decrypt" | "decompress";

  constructor(step: FrameError["step"], cause: unknown) {
    super(`cannot ${step} a frame`, { cause });
    this.step = step;
  }
}

/** Decrypts on this thread and decompresses beside it. What it gives is memory of its own, good for ever. */
export const localOpener: FrameOpener = {
  ahead: 2,
  take: (bodyBytes) => Buffer.allocUnsafeSlow(lengthBytes + bodyBytes),
  give: () => undefined,
  lose: () => undefined,
  open: async (slot, bodyBytes, algorithm, limit, place, key) => {
    const body = slot.subarray(lengthBytes, lengthBytes + bodyBytes);
    let step: FrameError["step"] = "decrypt";
    try {
      const frame = key ? (decryptFrame(body, place, key) as Buffer) : body;
      step = "decompress";
      return { plain: await decompress(frame, algorithm, limit), slot: undefined };
    } catch (cause) {
      throw new FrameError(step, cause);
    }
  },
};
