import type { Connection } from "./connection.ts";

/** How long an answer to the question holds before it may be asked again. */
const askedForMs = 10_000;
/** How long it is believed while statements take longer than they would nearby. */
const believedForMs = 60_000;
/** How often the server is asked at a time: the fastest counts, as a busy machine only ever delays. */
const times = 3;

/**
 * The way to a server and back, milliseconds. Statements cannot tell it: where all of them take long, it may be the
 * network or themselves. So it is taken for nothing until one takes long, and the server is then asked for nothing at all.
 */
export class RoundTrip {
  #ms = 0;
  #askedAt = -Infinity;

  get ms(): number {
    return this.#ms;
  }

  /** The way, and half as much again: a long one wavers more than a short one. */
  get allowanceMs(): number {
    return this.#ms * 1.5;
  }

  /** A statement took this long in all, so the way takes no longer. @returns how much of it was surely the server's */
  without(durationMs: number): number {
    if (durationMs < this.#ms) this.#ms = durationMs;
    return Math.max(0, durationMs - this.allowanceMs);
  }

  /** True when it was asked for so long ago that the network may be another. */
  isOld(now: number): boolean {
    return now - this.#askedAt > believedForMs;
  }

  /** True when it may be asked for again. */
  isDue(now: number): boolean {
    return now - this.#askedAt > askedForMs;
  }

  /** Takes its time on a connection that is free. A connection that does not answer in time is broken. */
  async ask(connection: Connection, withinMs: number): Promise<void> {
    this.#askedAt = performance.now();
    const deadline = setTimeout(() => connection.destroySocket(), withinMs);
    try {
      let fastest = Infinity;
      for (let time = 0; time < times; time += 1) {
        const began = performance.now();
        await connection.client.query("");
        fastest = Math.min(fastest, performance.now() - began);
      }
      this.#ms = fastest;
    } catch {
      // The connection broke, which its owner sees.
    } finally {
      clearTimeout(deadline);
    }
  }
}
