/** How long after the last refusal, and after the last success, one more connection is tried. */
const raiseAfterMs = 1_000;

/**
 * How many connections a server seems to allow. It shrinks to what is there when the server says that it is full
 * (53300), and grows back one at a time, so that a full server is not asked again for each caller. Those who wait
 * need nobody to come for one more to be tried.
 */
export class SoftMax {
  readonly #max: number;
  #limit: number;
  #raiseAt = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #mayRaise: () => void;

  /** `mayRaise` is called when one more may be tried, for as long as somebody asks. */
  constructor(max: number, mayRaise: () => void) {
    this.#max = max;
    this.#limit = max;
    this.#mayRaise = mayRaise;
  }

  /** The most connections there may be now. */
  get limit(): number {
    return this.#limit;
  }

  /** The server is full while this many are open. */
  refused(open: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, open));
    this.#wait();
  }

  /** Allows one more when the last refusal is a while ago. @returns the limit */
  relax(): number {
    if (this.#limit < this.#max && performance.now() >= this.#raiseAt) {
      this.#limit += 1;
      this.#wait();
    }
    return this.#limit;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#raiseAt = performance.now() + raiseAfterMs;
    clearTimeout(this.#timer);
    // A timer may be a millisecond early.
    if (this.#limit < this.#max) this.#timer = setTimeout(this.#mayRaise, raiseAfterMs + 2).unref();
  }
}
