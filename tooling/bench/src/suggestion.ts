/** The candidate most like `word` by the pairs of letters they share; undefined when none is alike. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates
    .map((candidate) => ({ candidate, score: likeness(word.toLowerCase(), candidate) }))
    .sort((a, b) => b.score - a.score);
  const best = scored[0];
  return best !== undefined && best.score >= 0.4 ? best.candidate : undefined;
}

/** Share of common pairs, 0 to 1. */
function likeness(a: string, b: string): number {
  const [left, right] = [pairs(a), pairs(b)];
  return (2 * left.intersection(right).size) / Math.max(1, left.size + right.size);
}

function pairs(text: string): Set<string> {
  return new Set(Array.from({ length: Math.max(0, text.length - 1) }, (_, index) => text.slice(index, index + 2)));
}
