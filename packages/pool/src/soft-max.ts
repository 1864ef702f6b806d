/** How long after the last refusal, and after the last success, one more connection is tried. */
const raiseAfterMs = 1_000;

/**
 * How many connections a server seems to allow. It shrinks to what is there when the server says that it is full
 * (53300), and grows back one at a time, so that a full server is not asked again for each caller.
 */
export class SoftMax {
  readonly #max: number;
  #limit: number;
  #raiseAt = 0;

  constructor(max: number) {
    this.#max = max;
    this.#limit = max;
  }

  /** The most connections there may be now. */
  get limit(): number {
    return this.#limit;
  }

  /** The server is full while this many are open. */
  refused(open: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, open));
    this.#raiseAt = performance.now() + raiseAfterMs;
  }

  /** Allows one more when the last refusal is a while ago. @returns the limit */
  relax(): number {
    if (this.#limit < this.#max && performance.now() >= this.#raiseAt) {
      this.#limit += 1;
      this.#raiseAt = performance.now() + raiseAfterMs;
    }
    return this.#limit;
  }
}
