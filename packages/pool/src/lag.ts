import { formatLsn, parseLsn } from "@db/core";

/** How far a replica is behind its primary. */
export interface Lag {
  /** WAL the replica has not replayed. */
  readonly lagBytes: number;
  /** Since when it has not, to the resolution of the probe interval. */
  readonly lagMs: number;
}

interface Position {
  readonly lsn: bigint;
  readonly at: number;
}

/**
 * Where the primary was and when, so that a replica's position can be told as time. Measured on one clock, it needs
 * no agreement between the servers' clocks, does not grow while the primary is idle, and does grow while a replica
 * receives nothing: the three things `now() - pg_last_xact_replay_timestamp()` gets wrong.
 */
export class PrimaryPositions {
  readonly #capacity: number;
  #positions: Position[] = [];

  constructor(capacity = 2_400) {
    this.#capacity = capacity;
  }

  add(lsn: string, at: number): void {
    const position = { lsn: parseLsn(lsn), at };
    const last = this.#positions.at(-1);
    if (last && position.lsn <= last.lsn) {
      // A new timeline may begin below what the old primary had written.
      if (position.lsn < last.lsn) this.#positions = [position];
      return;
    }
    this.#positions.push(position);
    if (this.#positions.length > this.#capacity) this.#positions.splice(0, this.#capacity / 2);
  }

  get latest(): string | undefined {
    const last = this.#positions.at(-1);
    return last && formatLsn(last.lsn);
  }

  /** The lag of a replica that has replayed up to `lsn`, as of `now`; undefined before the primary was seen. */
  lagOf(lsn: string, now: number): Lag | undefined {
    const latest = this.#positions.at(-1);
    if (!latest) return undefined;
    const replayed = parseLsn(lsn);
    if (replayed >= latest.lsn) return { lagBytes: 0, lagMs: 0 };
    const unreached = this.#positions[this.#firstAfter(replayed)]!;
    return { lagBytes: Number(latest.lsn - replayed), lagMs: Math.max(0, now - unreached.at) };
  }

  #firstAfter(lsn: bigint): number {
    let low = 0;
    let high = this.#positions.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#positions[middle]!.lsn > lsn) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
