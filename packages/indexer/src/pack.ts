import type { IndexDefinition } from "./definition.ts";

/** A named index of a pack, with its reason. */
export interface PackIndex extends IndexDefinition {
  readonly name: string;
  /** Which question it makes fast, in one sentence. */
  readonly why: string;
}

/** The indexes one application wants, as data. */
export interface IndexPack {
  readonly name: string;
  readonly description?: string;
  readonly indexes: readonly PackIndex[];
}
