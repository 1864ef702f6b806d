export type { IndexDefinition, IndexKey, IndexMethod } from "./definition.ts";
export type { IndexPack, PackIndex } from "./pack.ts";
