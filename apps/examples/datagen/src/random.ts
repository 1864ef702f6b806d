/**
 * A seeded source of random values. The same seed and label give the same values on every machine: only integer
 * operations and IEEE multiplications are used, never `Math.pow`, `log` or `exp`, which engines may round differently.
 */
export interface Random {
  /** In [0, 1), 32 bits of it. */
  next(): number;
  /** A whole number in [0, n). */
  below(n: number): number;
  /** A whole number in [low, high], both included. */
  between(low: number, high: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** One of a non-empty list. */
  pick<T>(list: readonly T[]): T;
  /** A whole number in [0, n), low ones far more often: the density falls as rank^(1/power - 1). */
  skewed(n: number, power: 2 | 3 | 4): number;
  /** `count` distinct whole numbers in [0, n), ascending; all of them when n is smaller. */
  distinct(count: number, n: number): number[];
}

/** Makes a source; `label` separates the streams of one seed, so that a new table never moves the old ones. */
export function createRandom(seed: number, label: string): Random {
  const next = sfc32(`${seed}/${label}`);
  const below = (n: number): number => Math.floor(next() * n);
  return {
    next,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (p) => next() < p,
    pick: (list) => list[below(list.length)]!,
    skewed: (n, power) => {
      const u = next();
      return Math.floor(n * (power === 2 ? u * u : power === 3 ? u * u * u : u * u * u * u));
    },
    distinct: (count, n) => {
      const found = new Set<number>();
      if (count >= n) for (let i = 0; i < n; i++) found.add(i);
      while (found.size < Math.min(count, n)) found.add(below(n));
      return [...found].toSorted((a, b) => a - b);
    },
  };
}

/** Picks by weight in constant time: the weights are laid out once in a table of `slots` entries. */
export function weighted<T>(entries: readonly (readonly [T, number])[], slots: number = 1000): readonly T[] {
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
  return entries.flatMap(([value, weight]) =>
    Array.from({ length: Math.max(1, Math.round((weight / total) * slots)) }, () => value),
  );
}

// Doty-Humphrey's Small Fast Counter, 32 bits: passes PractRand, and needs additions, shifts and one xor.
function sfc32(key: string): () => number {
  let [a, b, c, counter] = [hash(key, 0x9e3779b9), hash(key, 0x85ebca6b), hash(key, 0xc2b2ae35), 1];
  const next = (): number => {
    const out = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + out) | 0;
    return (out >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

function hash(text: string, basis: number): number {
  let value = basis;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value ^ (value >>> 15);
}
