import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Compression } from "./compression-options.ts";
import { type FrameKey, type FramePlace, slotBytes } from "./frame.ts";
import { type FrameSealer, Room, type SealedFrame, type Slot } from "./frame-sealer.ts";
import type { FrameAnswer, FrameTask } from "./frame-worker.ts";

/** As many threads as there are processors, four at most: more would wait for the server or the disk. */
export const defaultThreads: number = Math.min(4, availableParallelism());

// Beside this file, as source or as what was built of it.
const program = new URL(`./frame-worker${extname(import.meta.url)}`, import.meta.url);
// Frames lie outside of the heap; what is on it is small, and goes soon.
const limits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
/** A thread has the next frame at hand when it is done with one. */
const framesAhead = 2;

interface Pending {
  readonly resolve: (frame: SealedFrame) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  busy: number;
}

/**
 * Seals frames in threads of its own. Memory is bounded: a few slots for each thread, handed to it and back, so that
 * nothing is copied and nothing becomes garbage.
 */
export class FrameThreads implements FrameSealer, AsyncDisposable {
  readonly #threads: Thread[];
  readonly #most: number;
  readonly #room: Room;
  readonly #spare: Slot[] = [];
  readonly #pending = new Map<number, Pending>();
  #tasks = 0;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => this.#start());
    // One frame is being filled, and one or two are being stored.
    this.#most = threads * framesAhead + 2;
    this.#room = new Room(this.#most);
  }

  take(): Slot {
    this.#room.enter();
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(slotBytes);
  }

  give(slot: Slot): void {
    if (this.#spare.length < this.#most) this.#spare.push(slot);
    this.#room.leave();
  }

  lose(): void {
    this.#room.leave();
  }

  room(): Promise<void> | undefined {
    return this.#room.wait();
  }

  seal(
    slot: Slot,
    plainBytes: number,
    compression: Compression,
    place: FramePlace,
    key: FrameKey | undefined,
  ): Promise<SealedFrame> {
    if (this.#failure) return Promise.reject(this.#failure.error as Error);
    const thread = this.#threads.reduce((least, each) => (each.busy < least.busy ? each : least));
    const memory = slot.buffer as ArrayBuffer;
    const task: FrameTask = { id: this.#tasks++, memory, plainBytes, compression, place, key };
    thread.busy++;
    return new Promise((resolve, reject) => {
      this.#pending.set(task.id, { resolve, reject });
      thread.worker.postMessage(task, [memory]);
    });
  }

  /** Ends the threads; what is under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#fail(new Error("the threads were ended"));
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(): Thread {
    const worker = new Worker(program, { resourceLimits: limits, stdin: false });
    const thread: Thread = { worker, busy: 0 };
    worker.on("message", ({ id, memory, bytes, error }: FrameAnswer) => {
      thread.busy--;
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve({ slot: Buffer.from(memory), bytes });
      else pending?.reject(error);
    });
    worker.on("error", (error) => this.#fail(error));
    worker.on("exit", (code) => {
      if (!this.#closed) this.#fail(new Error(`a thread ended by itself with ${code}`));
    });
    // The process lives as long as somebody waits for frames, not for the threads' sake.
    worker.unref();
    return thread;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const pending of this.#pending.values()) pending.reject(this.#failure.error);
    this.#pending.clear();
  }
}
