/**
 * Which moment of the server's clock is covered. The server says now and then how far it has written and what time it is
 * there; once everything before that position is stored, everything before that time is.
 */
export class Coverage {
  readonly #samples: { readonly lsn: bigint; readonly time: number }[] = [];
  #serverEnd: bigint | undefined;
  #coveredUntil: number | undefined;

  /** Milliseconds since the epoch, by the server's clock; undefined before anything is known. */
  get coveredUntil(): number | undefined {
    return this.#coveredUntil;
  }

  /** The server has written up to `serverEnd` at `time`. */
  heard(serverEnd: bigint, time: number): void {
    this.#serverEnd = serverEnd;
    const last = this.#samples.at(-1);
    if (last && last.lsn === serverEnd) this.#samples[this.#samples.length - 1] = { lsn: serverEnd, time };
    else if (!last || time - last.time >= 200) this.#samples.push({ lsn: serverEnd, time });
  }

  /** Everything before `lsn` is stored. */
  settle(lsn: bigint): void {
    // All the server had written when it said so is here now.
    while (this.#samples[0] && this.#samples[0].lsn <= lsn) this.#coveredUntil = this.#samples.shift()!.time;
  }

  /** Bytes the server has written behind `durable`; undefined before it said anything. */
  lagBytes(durable: bigint | undefined): number | undefined {
    if (this.#serverEnd === undefined) return undefined;
    return Math.max(0, Number(this.#serverEnd - (durable ?? this.#serverEnd)));
  }
}
