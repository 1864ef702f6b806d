/**
 * Remembers what was among the top a while ago, so that a series does not come and go with the ranking: a counter
 * that disappears for a minute is a hole in every rate.
 */
export class StickySet {
  readonly #lastTop = new Map<string, number>();
  readonly #keepMs: number;
  readonly #max: number;

  /** @param max the most ids kept; the ones longest away go first */
  constructor({ keepMs, max }: { readonly keepMs: number; readonly max: number }) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  /** The ids to keep although they may have left the top. */
  ids(now: number): readonly string[] {
    for (const [id, at] of this.#lastTop) if (now - at > this.#keepMs) this.#lastTop.delete(id);
    return [...this.#lastTop.keys()];
  }

  /** Says which ids are among the top now. */
  saw(ids: Iterable<string>, now: number): void {
    for (const id of ids) {
      // Deleting first moves the id to the end: the map stays ordered by how long ago it was seen.
      this.#lastTop.delete(id);
      this.#lastTop.set(id, now);
    }
    for (const id of this.#lastTop.keys()) {
      if (this.#lastTop.size <= this.#max) break;
      this.#lastTop.delete(id);
    }
  }
}
