const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** A generated series (milliseconds since the epoch, bytes), the limit it is to reach, and when it really does. */
export interface Growth {
  readonly known: readonly (readonly [at: number, value: number])[];
  readonly limit: number;
  /** Days from the last known point. */
  readonly days: number;
}

export type GrowthKind = "linear" | "seasonal" | "step" | "faster" | "wandering";

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * Growth as disks and tables know it: a line, a line under days and weeks that repeat, a line with bulk loads and purges
 * in it, a line that became steeper, growth that differs from hour to hour. All of them noisy, known for 10 to 60 days, and 5 to 60 days from the limit.
 */
export function grow(kind: GrowthKind, seed: number): Growth {
  const random = seeded(seed * 7919 + kind.length);
  for (let skipped = 0; skipped < 20; skipped++) random();
  const between = (least: number, most: number): number => least + random() * (most - least);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const days = Math.round(between(kind === "seasonal" ? 22 : 10, 60));
  const ahead = between(5, 60);
  const start = between(10, 500) * 1e9;
  const perDay = between(0.2, 5) * 1e9;
  const noise = perDay * between(0.02, 0.3);
  const daily = kind === "seasonal" ? perDay * between(0.5, 3) : 0;
  const weekly = kind === "seasonal" ? perDay * between(0.5, 3) : 0;
  const phase = between(0, 2 * Math.PI);
  const jumps =
    kind === "step"
      ? Array.from({ length: Math.ceil(between(0, 3)) }, () => ({
          at: between(0.15, 0.9) * days,
          by: perDay * between(3, 30) * (random() < 0.7 ? 1 : -1),
        }))
      : [];
  const turn = kind === "faster" ? days * between(0.3, 0.7) : Number.POSITIVE_INFINITY;
  const steeper = between(1.5, 4);
  // Growth by the hour, of which a good part is chance.
  const wander = [0];
  const wanderHours = kind === "wandering" ? (days + 400) * 24 : 0;
  for (let hour = 1; hour < wanderHours; hour++) {
    wander.push(wander[hour - 1]! + (perDay / 24) * 2 * normal());
  }
  const truth = (day: number): number =>
    (wander[Math.floor(day * 24)] ?? 0) +
    start +
    perDay * (Math.min(day, turn) + Math.max(0, day - turn) * steeper) +
    daily * Math.sin(2 * Math.PI * day + phase) +
    weekly * Math.sin((2 * Math.PI * day) / 7 + phase) +
    jumps.reduce((sum, { at, by }) => sum + (day >= at ? by : 0), 0);
  const limit = truth(days) + perDay * (turn < days ? steeper : 1) * ahead + daily + weekly;
  let reached = days;
  while (truth(reached) < limit) reached += 1 / 96;
  const from = Date.UTC(2026, 0, 1);
  const known: [number, number][] = [];
  for (let at = 0; at <= days * dayMs; at += hourMs / 4) known.push([from + at, truth(at / dayMs) + noise * normal()]);
  return { known, limit, days: reached - days };
}
