/**
 * Shares `total` whole units over the slots by weight, so that the parts add up exactly and every prefix is within
 * one unit of its share: day counts from day weights, for instance.
 */
export function spread(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  let reached = 0;
  let given = 0;
  return weights.map((weight) => {
    reached += weight;
    const upTo = Math.round((reached / sum) * total);
    const part = upTo - given;
    given = upTo;
    return part;
  });
}
