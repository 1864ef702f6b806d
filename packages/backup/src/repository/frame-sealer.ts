import { compress, type Compression } from "./compression.ts";
import { type FrameKey, type FramePlace, lengthBytes, releaseMemory, slotBytes, storeFrame } from "./frame.ts";

/** Memory one frame is filled into, compressed and encrypted in: `slotBytes`, the plain bytes behind `lengthBytes`. */
export type Slot = Buffer;

/** Makes frames ready to be stored: here, or in threads of its own. */
export interface FrameSealer {
  /** Memory for the next frame. Give it back, or the one `seal` brings. */
  take(): Slot;
  give(slot: Slot): void;
  /** The slot is not there any more: sealing it failed. */
  lose(): void;
  /** Undefined while there is room for another frame; else resolves when there is. */
  room(): Promise<void> | undefined;
  /** Takes the slot away. @returns a slot with the frame as it is stored */
  seal(
    slot: Slot,
    plainBytes: number,
    compression: Compression,
    place: FramePlace,
    key: FrameKey | undefined,
  ): Promise<SealedFrame>;
}

export interface SealedFrame {
  readonly slot: Slot;
  /** From the slot's beginning. */
  readonly bytes: number;
}

/** Counts the frames under way, and says when to wait. */
export class Room {
  readonly #most: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  enter(): void {
    this.#taken++;
  }

  leave(): void {
    this.#taken--;
    if (this.#taken >= this.#most) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  wait(): Promise<void> | undefined {
    if (this.#taken < this.#most) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

// Filled again and again: a fresh buffer for each frame would grow memory until the collector comes round.
const spareSlots: Slot[] = [];
const mostSpareSlots = 4;
/** Of one object: one being filled, and those being compressed or stored. */
const framesInFlight = 4;

/** For one object: compresses beside the main thread and encrypts on it. */
export function createLocalSealer(): FrameSealer {
  const room = new Room(framesInFlight);
  return {
    take: () => {
      room.enter();
      return spareSlots.pop() ?? Buffer.allocUnsafeSlow(slotBytes);
    },
    give: (slot) => {
      if (spareSlots.length < mostSpareSlots) spareSlots.push(slot);
      room.leave();
    },
    lose: () => room.leave(),
    room: () => room.wait(),
    seal: async (slot, plainBytes, compression, place, key) => {
      const plain = slot.subarray(lengthBytes, lengthBytes + plainBytes);
      const compressed = await compress(plain, compression);
      const bytes = storeFrame(slot, compressed, place, key);
      if (compressed !== plain) releaseMemory(compressed);
      return { slot, bytes };
    },
  };
}
