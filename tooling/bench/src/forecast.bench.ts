import { forecast } from "@db/monitor";
import { grow, type Growth, type GrowthKind } from "@db/testkit";
import type { Arena, Benchmark, Contender, Figures, Measurement } from "./benchmark.ts";
import { median, roundFigure } from "./statistics.ts";

const dayMs = 86_400_000;
const kinds: readonly GrowthKind[] = ["linear", "seasonal", "step", "faster", "wandering"];

/** Days left, foreseen for series whose end is known: how far off, as a part of the true number. */
export const forecastDays: Benchmark<Arena, readonly number[]> = {
  name: "forecast",
  title: "Days until a limit, foreseen for generated series whose end is known",
  cases: kinds.map((kind) => ({ name: kind, title: `${kind} growth` })),
  setup: async () => ({ postgres: "", [Symbol.asyncDispose]: async () => undefined }),
  contenders: [
    contender("db_monitor", "@db/monitor", ({ known, limit }) => {
      const { days, earliestDays, latestDays } = forecast(known, { limit });
      return { days: days ?? Number.POSITIVE_INFINITY, earliestDays, latestDays };
    }),
    contender("least_squares", undefined, (growth) => ({ days: leastSquares(growth) })),
  ],
  check: (_arena, _run, { answer }) =>
    answer.some((error) => Number.isNaN(error) || error < 0) ? "an error that is no number" : undefined,
  figures: errorFigures,
};

interface Told {
  readonly days: number;
  readonly earliestDays?: number | null;
  readonly latestDays?: number | null;
}

function contender(
  name: string,
  from: string | undefined,
  foresee: (growth: Growth) => Told,
): Contender<Arena, readonly number[]> {
  return {
    name,
    ...(from !== undefined && { package: from }),
    prepare: (_arena, { case: kind, quick, seed }) => {
      const all = Array.from({ length: quick ? 30 : 100 }, (_, i) =>
        grow(kind as GrowthKind, (seed % 10_000) * 100 + i + 1),
      );
      return async () => {
        const told = all.map(foresee);
        const errors = told.map(({ days }, i) => Math.min(1, Math.abs(days - all[i]!.days) / all[i]!.days));
        const inside = told.filter(({ earliestDays, latestDays }, i) => {
          if (earliestDays === undefined || earliestDays === null) return false;
          return earliestDays <= all[i]!.days && all[i]!.days <= (latestDays ?? Number.POSITIVE_INFINITY);
        });
        return {
          operations: all.length,
          answer: errors,
          facts: { error_ratio: median(errors), in_band_ratio: inside.length / all.length },
        };
      };
    },
  };
}

/** What Prometheus' predict_linear fits: one line through everything. */
function leastSquares({ known, limit }: Growth): number {
  const middle = known.reduce((sum, [at]) => sum + at, 0) / known.length;
  const mean = known.reduce((sum, [, value]) => sum + value, 0) / known.length;
  const xy = known.reduce((sum, [at, value]) => sum + (at - middle) * (value - mean), 0);
  const xx = known.reduce((sum, [at]) => sum + (at - middle) ** 2, 0);
  return ((limit - mean) / (xy / xx) + middle - known.at(-1)![0]) / dayMs;
}

/** The median error and the share inside the band, by kind of growth and contender: parts of one. */
function errorFigures(measurements: readonly Measurement[]): Figures {
  const figures: Record<string, number> = {};
  const groups = Map.groupBy(measurements, (each) => `${each.case}_${each.contender}`);
  for (const [key, runs] of groups) {
    for (const fact of ["error_ratio", "in_band_ratio"]) {
      if (fact === "in_band_ratio" && key.endsWith("least_squares")) continue;
      figures[`${key}_${fact}`] = roundFigure(median(runs.map(({ facts }) => facts[fact] ?? 0)));
    }
  }
  return figures;
}
