import { chainOf } from "./checksum.ts";
import type { HistoryEntry } from "./history.ts";

/** A link of the history's chain as it should be. */
export interface ChainLink {
  readonly id: string;
  readonly chain: string;
}

/** The first row that does not follow from the one before it. */
export interface ChainBreak {
  readonly id: string;
  /** Null when it stands first. */
  readonly previous: string | null;
}

type Linked = Pick<HistoryEntry, "id" | "kind" | "state" | "checksum" | "chain">;

/**
 * Where the history stops being one that this tool wrote: a row was deleted, inserted, reordered or edited by hand.
 * Versioned migrations are linked in the order applied; undoing takes them away from the end, so that what is left
 * still holds. Repeatables, which move to the end each time, are no part of it. Pure.
 */
export function findChainBreak(history: readonly Linked[]): ChainBreak | null {
  let previous: Linked | null = null;
  for (const entry of history) {
    if (!isLinked(entry)) continue;
    if (entry.chain !== chainOf(previous?.chain ?? null, entry.checksum)) {
      return { id: entry.id, previous: previous?.id ?? null };
    }
    previous = entry;
  }
  return null;
}

/** What each link must be for the history as it is to hold. */
export function relink(history: readonly Linked[]): ChainLink[] {
  let chain: string | null = null;
  return history.filter(isLinked).map(({ id, checksum }) => {
    chain = chainOf(chain, checksum);
    return { id, chain };
  });
}

/** The link that the next versioned migration follows. */
export function lastLink(history: readonly Linked[]): string | null {
  return history.findLast(isLinked)?.chain ?? null;
}

function isLinked({ kind, state }: Linked): boolean {
  return kind === "versioned" && state === "applied";
}
