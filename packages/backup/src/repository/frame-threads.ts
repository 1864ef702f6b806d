import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { messageOf } from "@db/core";
import { ThreadsEndedError } from "../errors.ts";
import type { Compression } from "./compression-options.ts";
import { type FrameKey, type FramePlace, slotBytes } from "./frame.ts";
import { type FrameSealer, Room, type SealedFrame, type Slot } from "./frame-sealer.ts";
import type { FrameAnswer, FrameFailure, FrameTask, FrameWork } from "./frame-worker.ts";
import { FrameError, type FrameOpener, type OpenedFrame } from "./frame-opener.ts";

/** Sealing that keeps a thread no busier than what feeds it keeps another; every other takes all the time there is. */
export function sealsLightly({ algorithm, level }: Compression): boolean {
  return algorithm === "none" || (algorithm === "zstd" && level <= 2);
}

/**
 * A thread for each processor, four at most: more would wait for the server or the disk. Of light work one fewer, since
 * this thread then needs a processor too: with one more on two processors a backup took a tenth to a third longer.
 */
export function defaultThreads(light: boolean): number {
  return Math.max(1, Math.min(4, availableParallelism() - (light ? 1 : 0)));
}

// Beside this file, as source or as what was built of it.
const program = new URL(`./frame-worker${extname(import.meta.url)}`, import.meta.url);
// Frames lie outside of the heap; what is on it is small, and goes soon.
const limits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
/** A thread has the next frame at hand when it is done with one. */
const framesAhead = 2;

interface Pending {
  readonly resolve: (answer: FrameAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  busy: number;
}

/**
 * Seals and opens frames in threads of its own. Memory is bounded: a few slots for each thread, handed to it and back, so that
 * nothing is copied and nothing becomes garbage.
 */
export class FrameThreads implements FrameSealer, FrameOpener, AsyncDisposable {
  readonly #threads: Thread[];
  readonly #most: number;
  readonly #room: Room;
  readonly #spare: Slot[] = [];
  readonly #pending = new Map<number, Pending>();
  #tasks = 0;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  /** @param from what the threads run: a program that takes a `FrameTask` and posts a `FrameAnswer` */
  constructor(threads: number, from: URL = program) {
    this.#threads = Array.from({ length: threads }, () => this.#start(from));
    // One frame is being filled; the others wait to be stored, so that a slow write does not leave the threads idle.
    this.#most = threads * framesAhead + 6;
    this.#room = new Room(this.#most);
  }

  /** True when a thread ended by itself: everything fails from then on. */
  get failed(): boolean {
    return this.#failure !== undefined;
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

  async seal(
    slot: Slot,
    plainBytes: number,
    compression: Compression,
    place: FramePlace,
    key: FrameKey | undefined,
  ): Promise<SealedFrame> {
    const { memory, end } = await this.#run(slot, { verb: "seal", plainBytes, compression, place, key });
    return { slot: Buffer.from(memory), bytes: end };
  }

  get ahead(): number {
    return this.#threads.length * framesAhead;
  }

  async open(
    slot: Slot,
    bodyBytes: number,
    algorithm: Compression["algorithm"],
    limit: number,
    place: FramePlace,
    key: FrameKey | undefined,
  ): Promise<OpenedFrame> {
    const work = { verb: "open", bodyBytes, algorithm, limit, place, key } as const;
    const { memory, begin, end } = await this.#run(slot, work);
    return { slot: Buffer.from(memory), plain: Buffer.from(memory, begin, end - begin) };
  }

  #run(slot: Slot, work: FrameWork): Promise<FrameAnswer> {
    if (this.#failure) return Promise.reject(this.#failure.error as Error);
    const thread = this.#threads.reduce((least, each) => (each.busy < least.busy ? each : least));
    const memory = slot.buffer as ArrayBuffer;
    const task: FrameTask = { id: this.#tasks++, memory, work };
    // The process lives as long as somebody waits for a frame.
    if (thread.busy++ === 0) thread.worker.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(task.id, { resolve, reject });
      thread.worker.postMessage(task, [memory]);
    });
  }

  /** Ends the threads; what is under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#fail(new ThreadsEndedError("the threads that pack and unpack were ended"));
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(from: URL): Thread {
    const worker = new Worker(from, { resourceLimits: limits, stdin: false });
    const thread: Thread = { worker, busy: 0 };
    worker.on("message", (answer: FrameAnswer) => {
      if (--thread.busy === 0) worker.unref();
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if (answer.failure === undefined) pending?.resolve(answer);
      else pending?.reject(explain(answer.failure));
    });
    worker.on("error", (error) =>
      this.#fail(new ThreadsEndedError(`a thread failed: ${messageOf(error)}`, { cause: error })),
    );
    worker.on("exit", (code) => {
      if (!this.#closed) this.#fail(new ThreadsEndedError(`a thread ended by itself with ${code}`));
    });
    worker.unref();
    return thread;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const pending of this.#pending.values()) pending.reject(this.#failure.error);
    this.#pending.clear();
  }
}

function explain({ step, error }: FrameFailure): unknown {
  return step === undefined ? error : new FrameError(step, error);
}
