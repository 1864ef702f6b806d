import { type IndexDefinition, indexName, type IndexRecommendation } from "@db/indexer";

/**
 * One list of advice from two sources: the application's own pack, which comes first, and what the workload asks for
 * beyond it. What a pack's index would serve anyway is not recommended twice; it lends that index its measured gain.
 */
export function mergeAdvice(
  workload: readonly IndexRecommendation[],
  pack: readonly IndexRecommendation[],
): readonly IndexRecommendation[] {
  const rest = workload.filter((each) => !pack.some((wanted) => serves(wanted.definition, each.definition)));
  const own = pack.map((wanted) => {
    const asked = workload.find((each) => serves(wanted.definition, each.definition));
    return asked
      ? { ...wanted, gain: wanted.gain ?? asked.gain, helps: wanted.helps.length > 0 ? wanted.helps : asked.helps }
      : wanted;
  });
  return [...own, ...rest].toSorted((a, b) => savedMs(b) - savedMs(a));
}

/** True when `index` has the keys of `other` in front, in whatever order, over the same rows, or goes by its name. */
function serves(index: IndexDefinition, other: IndexDefinition): boolean {
  if (index.table !== other.table || (index.schema ?? "public") !== (other.schema ?? "public")) return false;
  if (indexName(index) === indexName(other)) return true;
  if ((index.method ?? "btree") !== (other.method ?? "btree") || (index.where ?? "") !== (other.where ?? ""))
    return false;
  const leading = new Set(index.keys.slice(0, other.keys.length).map(keyText));
  return other.keys.every((key) => leading.has(keyText(key)));
}

function keyText({ column, expression }: IndexDefinition["keys"][number]): string {
  return column ?? `(${expression})`;
}

function savedMs({ helps, gain }: IndexRecommendation): number {
  return (gain ?? 0) * helps.reduce((sum, { totalMs }) => sum + totalMs, 0);
}
