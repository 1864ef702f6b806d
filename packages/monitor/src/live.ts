import type { Queryable } from "@db/core";
import type { CollectContext, Collected } from "./collector.ts";
import type { Row } from "./rows.ts";

/** The rows of a statement that was asked along with others. @throws what it failed with */
export type RowsOf = (text: string) => readonly Row[];

/**
 * A collector that is read on every scrape: what it asks is asked together with what all others ask, and what it makes
 * of the answers it makes at once.
 */
export interface LiveRun {
  /** The statements it reads, made by `rowsSql`. */
  readonly asks: (version: number) => readonly string[];
  /**
   * Pure: the same rows give the same. A function asks further, where the answers call for it.
   * @throws what `rowsOf` throws
   */
  readonly make: (rowsOf: RowsOf, context: CollectContext) => Collected | ((session: Queryable) => Promise<Collected>);
}

/** What several collectors look at: read once for all of them, and made into things once. */
export interface Source<Thing> {
  readonly textOn: (version: number) => string;
  readonly read: (rowsOf: RowsOf, version: number) => Thing;
}

export function source<Thing>(
  sqlOn: (version: number) => string,
  make: (rows: readonly Row[]) => Thing,
): Source<Thing> {
  const texts = new Map<number, string>();
  const made = new WeakMap<readonly Row[], { readonly thing: Thing }>();
  const textOn = (version: number): string => {
    let text = texts.get(version);
    if (text === undefined) {
      text = sqlOn(version);
      texts.set(version, text);
    }
    return text;
  };
  return {
    textOn,
    read: (rowsOf, version) => {
      const rows = rowsOf(textOn(version));
      let known = made.get(rows);
      if (!known) {
        known = { thing: make(rows) };
        made.set(rows, known);
      }
      return known.thing;
    },
  };
}
