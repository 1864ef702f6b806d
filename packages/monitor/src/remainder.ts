/** Counters of the things that have their own series, by id, and the sum of all others. */
export interface RemainderInput {
  readonly exported: ReadonlyMap<string, readonly (number | null)[]>;
  readonly other: readonly (number | null)[];
}

/**
 * Keeps the counters of "other" growing while things move in and out of it.
 *
 * The plain sum falls when something leaves it for its own series, and a counter that falls looks like a reset: the
 * whole sum would be counted once more. So only growth is added: what grew in the sum, with the things that changed
 * sides counted on the side of "other", since their own series says nothing of the interval in which it began.
 */
export class Remainder {
  #previous: (RemainderInput & { readonly total: readonly number[] }) | undefined;

  /** @returns the counters to show for "other", in the order of the input */
  next(input: RemainderInput): readonly number[] {
    const previous = this.#previous;
    const total = input.other.map((raw, k) => {
      if (!previous || wasReset(previous.exported, input.exported, k)) return raw ?? 0;
      const now = (raw ?? 0) + sumOf(input.exported, k, (id) => !previous.exported.has(id));
      const before = (previous.other[k] ?? 0) + sumOf(previous.exported, k, (id) => !input.exported.has(id));
      return (previous.total[k] ?? 0) + Math.max(0, now - before);
    });
    this.#previous = { ...input, total };
    return total;
  }

  /** Says that there is no rest: everything has series of its own. @returns the counters where they stand */
  nothing(): readonly number[] {
    return this.#previous?.total ?? [];
  }
}

type Exported = RemainderInput["exported"];

function sumOf(exported: Exported, k: number, counts: (id: string) => boolean): number {
  let sum = 0;
  for (const [id, values] of exported) if (counts(id)) sum += values[k] ?? 0;
  return sum;
}

function wasReset(before: Exported, now: Exported, k: number): boolean {
  for (const [id, values] of now) {
    const previous = before.get(id)?.[k];
    if (previous !== null && previous !== undefined && (values[k] ?? 0) < previous) return true;
  }
  return false;
}
