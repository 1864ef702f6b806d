import type { Series } from "./view.ts";

/** Each line raised by those before it, so that the last one is their sum. Where nothing is known, nothing is added. */
export function stackedPoints(series: readonly Series[]): readonly (readonly (number | null)[])[] {
  const sums: (number | null)[] = [];
  return series.map(({ points }) =>
    points.map((point, i) => {
      const below = sums[i] ?? null;
      const sum = point === null ? below : point + (below ?? 0);
      sums[i] = sum;
      return sum;
    }),
  );
}
