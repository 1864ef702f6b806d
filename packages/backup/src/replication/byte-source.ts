import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Bytes from `begin` to `end` of a piece of memory. What comes before `begin` may be written to. */
export interface Stretch {
  readonly memory: Buffer;
  readonly begin: number;
  readonly end: number;
}

/** Gives a socket's bytes out in stretches. One that was taken is good until the next one is. */
export interface ByteSource {
  /** Called once. @param wake more may be ready @param lost nothing more will come */
  start(wake: () => void, lost: (cause?: unknown) => void): void;
  /** True when `take` has something. */
  readonly ready: boolean;
  take(): Stretch;
  /** Reads to the end and gives nothing out any more. */
  discard(): void;
}

const readBytes = 256 * 1024;
// Room for the beginning of a message that goes on in the next stretch; the longest usual ones have 128 KiB.
const roomBytes = 160 * 1024;
const stretchBytes = roomBytes + readBytes;

/** Memory for a source's two stretches, where its reader wants them in a place of its own. */
export const stretchesBytes: number = 2 * stretchBytes;

function stretchesOf(memory: Buffer = Buffer.allocUnsafeSlow(stretchesBytes)): readonly [Buffer, Buffer] {
  return [memory.subarray(0, stretchBytes), memory.subarray(stretchBytes, stretchesBytes)];
}

/**
 * A socket that reads straight into two stretches of memory, in turn: nothing is allocated and nothing copied. Until it is
 * taken over it gives its bytes as events, like any other socket, to whoever speaks first on it.
 */
export class StretchSocket implements ByteSource {
  readonly socket: Socket;
  readonly #memory: readonly [Buffer, Buffer];
  /** Ends of the stretches that are filled and not taken yet, in order. */
  readonly #filled: number[] = [];
  /** Which stretch is read into next, and which one is taken next. */
  #reading = 0;
  #taking = 0;
  #paused = false;
  #inUse = false;
  #wake: (() => void) | undefined;
  #discarding = false;

  /** @param memory of `stretchesBytes` */
  constructor(memory?: Buffer) {
    this.#memory = stretchesOf(memory);
    const buffer = (): Buffer => this.#memory[this.#reading]!.subarray(roomBytes);
    this.socket = new Socket({ onread: { buffer, callback: (length) => this.#take(length) } });
  }

  get ready(): boolean {
    return this.#filled.length > 0;
  }

  start(wake: () => void, lost: (cause?: unknown) => void): void {
    this.#wake = wake;
    this.socket.on("error", lost);
    this.socket.on("end", () => lost());
    this.socket.on("close", () => lost());
    this.socket.resume();
  }

  take(): Stretch {
    const memory = this.#memory[this.#taking]!;
    const end = roomBytes + this.#filled.shift()!;
    this.#inUse = true;
    this.#taking = 1 - this.#taking;
    // The one taken before this is free now, unless it was read into already.
    if (this.#paused && this.#filled.length === 0) {
      this.#paused = false;
      this.socket.resume();
    }
    return { memory, begin: roomBytes, end };
  }

  discard(): void {
    this.#discarding = true;
    this.socket.resume();
  }

  /** @returns false to read no more for now */
  #take(length: number): boolean {
    if (this.#discarding) return true;
    if (!this.#wake) {
      // Before the takeover: whoever listens keeps what it is given.
      this.socket.emit("data", Buffer.from(this.#memory[this.#reading]!.subarray(roomBytes, roomBytes + length)));
      return true;
    }
    this.#filled.push(length);
    this.#reading = 1 - this.#reading;
    // What comes next would go over the one in use.
    this.#paused = this.#inUse || this.#filled.length === this.#memory.length;
    this.#wake();
    return !this.#paused;
  }
}

/** Any other stream, an encrypted one for example. Its chunks are copied. */
export class StreamSource implements ByteSource {
  readonly #stream: Duplex;
  readonly #memory: readonly [Buffer, Buffer];
  #taking = 0;
  #chunk: Buffer | null = null;

  /** @param memory of `stretchesBytes` */
  constructor(stream: Duplex, memory?: Buffer) {
    this.#stream = stream;
    this.#memory = stretchesOf(memory);
  }

  get ready(): boolean {
    this.#chunk ??= this.#stream.read() as Buffer | null;
    return this.#chunk !== null;
  }

  start(wake: () => void, lost: (cause?: unknown) => void): void {
    this.#stream.on("readable", wake);
    this.#stream.on("error", lost);
    this.#stream.on("end", () => lost());
    this.#stream.on("close", () => lost());
  }

  take(): Stretch {
    const chunk = this.#chunk!;
    const memory = this.#memory[this.#taking]!;
    this.#taking = 1 - this.#taking;
    const length = chunk.copy(memory, roomBytes, 0, readBytes);
    this.#chunk = length < chunk.length ? chunk.subarray(length) : null;
    return { memory, begin: roomBytes, end: roomBytes + length };
  }

  discard(): void {
    this.#stream.on("data", () => undefined);
    this.#stream.resume();
  }
}
