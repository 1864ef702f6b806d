import type { IndexDefinition, IndexKey } from "./definition.ts";
import type { IndexFacts, TableFacts } from "./snapshot.ts";

/** Rows an index may leave to be looked at one by one before a longer one is worth having. */
const fewRows = 100;

/**
 * The index that already does what a candidate would, if there is one: same leading keys (the equality ones in any
 * order), or so selective a part of them that the rest hardly matters.
 * @param equalityKeys how many of the candidate's first keys are tested for equality
 */
export function servingIndex(
  candidate: IndexDefinition,
  equalityKeys: number,
  indexes: readonly IndexFacts[],
  table: TableFacts,
): IndexFacts | undefined {
  const own = indexes.filter(
    (index) => index.valid && index.schema === (candidate.schema ?? "public") && index.table === candidate.table,
  );
  return own.find((index) => {
    if (index.where !== null && normalized(index.where) !== normalized(candidate.where ?? "")) return false;
    if (index.method !== (candidate.method ?? "btree")) return false;
    return candidate.method === "gin" || candidate.method === "gist" || candidate.method === "brin"
      ? candidate.keys.every((key) => index.keys.some((existing) => sameKey(key, existing)))
      : servesOrdered(candidate, equalityKeys, index, table);
  });
}

function servesOrdered(
  candidate: IndexDefinition,
  equalityKeys: number,
  index: IndexFacts,
  table: TableFacts,
): boolean {
  const equality = candidate.keys.slice(0, equalityKeys);
  const tail = candidate.keys.slice(equalityKeys);
  const leading = index.keys.slice(0, equality.length);
  const matched = leading.filter((existing) => equality.some((key) => sameKey(key, existing)));
  const rest = index.keys.slice(equality.length);
  const flipped = tail.length > 0 && rest[0] !== undefined && !sameDirection(tail[0]!, rest[0]);
  const tailServed = tail.every((key, at) => {
    const existing = rest[at];
    return existing !== undefined && sameKey(key, existing) && sameDirection(key, existing) !== flipped;
  });
  if (matched.length === equality.length && tailServed) return true;
  // A unique key, or one nearly so, finds few rows: what else is asked of them costs nothing.
  const used = index.keys.findIndex((existing) => !equality.some((key) => sameKey(key, existing)));
  const prefix = used === -1 ? index.keys : index.keys.slice(0, used);
  if (prefix.length === 0) return false;
  if (index.unique && prefix.length === index.keys.length) return true;
  const kept = prefix.reduce((rows, { column }) => {
    const distinct = table.columns.find(({ name }) => name === column)?.distinct ?? 1;
    return rows / Math.max(1, distinct);
  }, table.rows);
  return kept <= fewRows;
}

function sameKey(key: IndexKey, existing: IndexFacts["keys"][number]): boolean {
  if (key.opclass === undefined ? !existing.defaultOpclass : key.opclass !== existing.opclass) return false;
  if (key.column !== undefined) return key.column === existing.column;
  return existing.expression !== null && normalized(key.expression ?? "") === normalized(existing.expression);
}

function sameDirection(key: IndexKey, existing: IndexFacts["keys"][number]): boolean {
  const descending = key.descending === true;
  const nullsFirst = key.nulls === undefined ? descending : key.nulls === "first";
  return descending === existing.descending && nullsFirst === existing.nullsFirst;
}

/** An expression without what PostgreSQL adds or drops when it prints it: casts of literals, brackets, quotes, case. */
export function normalized(expression: string): string {
  return expression
    .replaceAll(/::[a-z_ ]+(\[\])?/gi, "")
    .replaceAll(/[()"\s]/g, "")
    .toLowerCase();
}
