import { once } from "node:events";
import type { Socket } from "node:net";

/** What happens to the bytes of one direction. */
export type FaultMode =
  | { readonly kind: "pass" }
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "blackhole" }
  | { readonly kind: "trickle"; readonly bytesPerSecond: number }
  | { readonly kind: "garbage" };

type End = "end" | "reset";

interface Chunk {
  readonly data: Buffer;
  readonly at: number;
}

// Reading stops above this, so that a blackhole fills the sender's window as a real one does.
const heldBytesLimit = 256 * 1024;
const sliceMs = 20;

/** Carries bytes one way under a mode that may change at any moment, keeping their order. */
export class FaultPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delivered: (bytes: number) => void;
  readonly #queue: Chunk[] = [];
  #held = 0;
  #end: End | undefined;
  #mode: FaultMode;
  #wake: () => void = () => undefined;
  #seed = 0x9e3779b9;

  constructor(from: Socket, to: Socket, mode: FaultMode, delivered: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#mode = mode;
    this.#delivered = delivered;
    from.on("data", (data: Buffer) => {
      this.#queue.push({ data, at: Date.now() });
      this.#held += data.length;
      if (this.#held > heldBytesLimit) from.pause();
      this.#wake();
    });
    from.once("end", () => this.#finish("end"));
    from.on("error", () => this.#finish("reset"));
    from.once("close", (failed) => this.#finish(failed ? "reset" : "end"));
    void this.#pump();
  }

  set(mode: FaultMode): void {
    this.#mode = mode;
    this.#wake();
  }

  #finish(end: End): void {
    if (this.#end !== "reset") this.#end = end;
    this.#wake();
  }

  async #pump(): Promise<void> {
    while (!this.#to.destroyed) {
      const mode = this.#mode;
      const [chunk] = this.#queue;
      if (mode.kind === "blackhole" || (chunk === undefined && this.#end === undefined)) {
        await this.#sleep(undefined);
      } else if (chunk === undefined) {
        if (this.#end === "reset") this.#to.resetAndDestroy();
        else this.#to.end();
        return;
      } else if (mode.kind === "delay" && Date.now() < chunk.at + mode.ms) {
        await this.#sleep(chunk.at + mode.ms - Date.now());
      } else if (mode.kind === "trickle") {
        await this.#deliver(Math.max(1, Math.round((mode.bytesPerSecond * sliceMs) / 1_000)));
        await this.#sleep(Math.max(sliceMs, 1_000 / mode.bytesPerSecond));
      } else {
        await this.#deliver(chunk.data.length, mode.kind === "garbage");
      }
    }
    // Nobody is there to receive: the sender must learn it, as from a closed port.
    if (!this.#from.destroyed) this.#from.resetAndDestroy();
  }

  async #deliver(atMost: number, garbled: boolean = false): Promise<void> {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return;
    const data = chunk.data.subarray(0, atMost);
    const rest = chunk.data.subarray(atMost);
    if (rest.length > 0) this.#queue.unshift({ data: rest, at: chunk.at });
    this.#held -= data.length;
    if (this.#held <= heldBytesLimit) this.#from.resume();
    this.#delivered(data.length);
    if (this.#to.destroyed || this.#to.writableEnded) return;
    if (!this.#to.write(garbled ? this.#garble(data.length) : data)) {
      await Promise.race([once(this.#to, "drain"), once(this.#to, "close")]).catch(() => undefined);
    }
  }

  /** Bytes of a fixed generator: wrong, and the same in every run. */
  #garble(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let index = 0; index < length; index += 1) {
      this.#seed ^= this.#seed << 13;
      this.#seed ^= this.#seed >>> 17;
      this.#seed ^= this.#seed << 5;
      bytes[index] = this.#seed & 0xff;
    }
    return bytes;
  }

  /** Waits for a new chunk, a new mode or the end, at most `ms`. */
  #sleep(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.#wake(), ms);
      const closed = (): void => this.#wake();
      this.#to.once("close", closed);
      this.#wake = () => {
        this.#wake = () => undefined;
        clearTimeout(timer);
        this.#to.off("close", closed);
        resolve();
      };
    });
  }
}
