/** How one of several replicas is chosen among those that are fit. */
export type LoadBalance = "least-in-flight" | "round-robin" | "weighted" | "random" | "in-order";

export const loadBalances: readonly LoadBalance[] = [
  "least-in-flight",
  "round-robin",
  "weighted",
  "random",
  "in-order",
];

/** What balancing looks at. */
export interface Balanced {
  readonly inFlight: number;
  /** Share of the load, compared with the others. Above 0. */
  readonly weight: number;
}

/** Chooses one of the candidates; undefined of none. */
export type Balancer = <C extends Balanced>(candidates: readonly C[]) => C | undefined;

/** Makes the balancer of one pool: two of them remember who was last on its own. */
export function createBalancer(strategy: LoadBalance): Balancer {
  if (strategy === "least-in-flight") return leastBusy;
  if (strategy === "in-order") return (candidates) => candidates[0];
  if (strategy === "random") return (candidates) => candidates[Math.floor(Math.random() * candidates.length)];
  if (strategy === "weighted") return smoothWeighted();
  let turn = -1;
  return (candidates) => candidates[(turn = (turn + 1) % Math.max(1, candidates.length))];
}

/**
 * The least busy of the candidates for its weight; among equals the choice is random, so that no order favours one.
 */
export function leastBusy<C extends Balanced>(
  candidates: readonly C[],
  random: () => number = Math.random,
): C | undefined {
  let best: C | undefined;
  let bestLoad = Infinity;
  let equals = 0;
  for (const candidate of candidates) {
    const load = (candidate.inFlight + 1) / candidate.weight;
    if (load < bestLoad) {
      best = candidate;
      bestLoad = load;
      equals = 1;
    } else if (load === bestLoad && random() * ++equals < 1) {
      best = candidate;
    }
  }
  return best;
}

/** Round-robin by weight that never sends a burst to the heaviest, as nginx does. */
function smoothWeighted(): Balancer {
  const credit = new WeakMap<object, number>();
  return (candidates) => {
    let total = 0;
    let best: (typeof candidates)[number] | undefined;
    for (const candidate of candidates) {
      total += candidate.weight;
      credit.set(candidate, (credit.get(candidate) ?? 0) + candidate.weight);
      if (!best || credit.get(candidate)! > credit.get(best)!) best = candidate;
    }
    if (best) credit.set(best, credit.get(best)! - total);
    return best;
  };
}
