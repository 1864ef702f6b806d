import type { Figures, Measurement } from "./benchmark.ts";
import { median, roundFigure, summarize } from "./statistics.ts";

/**
 * How many times the rate of each peer the subject has, `c64_vs_pg_named` with `_min` and `_max`, then each one's rate
 * and processor time per operation, `c64_db_pool_per_second`, `c64_db_pool_cpu_us`. Above 1 the subject is faster.
 * A ratio is the median of the ratios of each round, so that what slows a whole round down weighs on neither side.
 */
export function throughputFigures(measurements: readonly Measurement[], subject: string): Figures {
  const figures: Record<string, number> = {};
  for (const { prefix, peer, pairs } of pairings(measurements, subject)) {
    addSummary(
      figures,
      `${prefix}vs_${peer}`,
      pairs.map(({ own, other }) => rateOf(own) / rateOf(other)),
    );
  }
  for (const group of byContender(measurements)) {
    const key = `${group.prefix}${group.contender}`;
    figures[`${key}_per_second`] = middle(group.runs, rateOf);
    figures[`${key}_cpu_us`] = middle(group.runs, ({ cpuMs, operations }) => (cpuMs * 1_000) / operations);
    addFacts(figures, group);
  }
  return figures;
}

/**
 * Times, and the subject's time as a share of each peer's: `db_migrate_ms`, `time_vs_kysely` with `_min` and `_max`,
 * and `time_vs_fastest_peer`, against whichever peer was the fastest in the round. Below 1 the subject is faster.
 * Contenders whose names begin with `db_` are the house's own variants, not peers.
 */
export function timeFigures(measurements: readonly Measurement[], subject: string): Figures {
  const figures: Record<string, number> = {};
  const fastest = new Map<string, { own: Measurement; other: Measurement }[]>();
  for (const { prefix, peer, pairs } of pairings(measurements, subject)) {
    addSummary(
      figures,
      `${prefix}time_vs_${peer}`,
      pairs.map(({ own, other }) => own.durationMs / other.durationMs),
    );
    if (peer.startsWith("db_")) continue;
    const known = fastest.get(prefix);
    const better = pairs.map((pair, index) => {
      const rival = known?.[index];
      return rival && rival.other.durationMs < pair.other.durationMs ? rival : pair;
    });
    fastest.set(prefix, better);
  }
  for (const [prefix, pairs] of fastest) {
    addSummary(
      figures,
      `${prefix}time_vs_fastest_peer`,
      pairs.map(({ own, other }) => own.durationMs / other.durationMs),
    );
  }
  for (const group of byContender(measurements)) {
    figures[`${group.prefix}${group.contender}_ms`] = middle(group.runs, ({ durationMs }) => durationMs);
    addFacts(figures, group);
  }
  return figures;
}

/**
 * A fact of the subject as a share of each peer's, `p99_us_vs_postgres_js` with `_min` and `_max`. Below 1 the subject
 * is better, where less is better.
 */
export function factRatios(measurements: readonly Measurement[], subject: string, fact: string): Figures {
  const figures: Record<string, number> = {};
  for (const { prefix, peer, pairs } of pairings(measurements, subject)) {
    addSummary(
      figures,
      `${prefix}${fact}_vs_${peer}`,
      pairs.map(({ own, other }) => (own.facts[fact] ?? Number.NaN) / (other.facts[fact] ?? Number.NaN)),
    );
  }
  return figures;
}

/** Every fact with its smallest and largest value, `first_write_ms`, for what has no peer that could do it at all. */
export function factFigures(measurements: readonly Measurement[]): Figures {
  const figures: Record<string, number> = {};
  for (const { prefix, runs } of byContender(measurements)) {
    for (const fact of Object.keys(runs[0]?.facts ?? {})) {
      addSummary(
        figures,
        `${prefix}${fact}`,
        runs.map(({ facts }) => facts[fact] ?? Number.NaN),
      );
    }
  }
  return figures;
}

function rateOf({ operations, durationMs }: Measurement): number {
  return (operations * 1_000) / durationMs;
}

function middle(runs: readonly Measurement[], of: (run: Measurement) => number): number {
  return roundFigure(median(runs.map(of)));
}

function addFacts(figures: Record<string, number>, { prefix, contender, runs }: ContenderRuns): void {
  for (const fact of Object.keys(runs[0]?.facts ?? {})) {
    figures[`${prefix}${contender}_${fact}`] = middle(runs, ({ facts }) => facts[fact] ?? Number.NaN);
  }
}

function addSummary(figures: Record<string, number>, key: string, ratios: readonly number[]): void {
  const summary = summarize(ratios);
  figures[key] = roundFigure(summary.median);
  figures[`${key}_min`] = roundFigure(summary.min);
  figures[`${key}_max`] = roundFigure(summary.max);
}

interface ContenderRuns {
  readonly prefix: string;
  readonly contender: string;
  readonly runs: readonly Measurement[];
}

function byContender(measurements: readonly Measurement[]): ContenderRuns[] {
  const groups = Map.groupBy(measurements, (each) => `${each.case} ${each.contender}`);
  return [...groups.values()].map((runs) => {
    const { case: name, contender } = runs[0] as Measurement;
    return { prefix: name === "" ? "" : `${name}_`, contender, runs: runs.toSorted((a, b) => a.round - b.round) };
  });
}

interface Pairing {
  readonly prefix: string;
  readonly peer: string;
  readonly pairs: readonly { readonly own: Measurement; readonly other: Measurement }[];
}

/** The subject beside each peer, round by round. */
function pairings(measurements: readonly Measurement[], subject: string): Pairing[] {
  const all = byContender(measurements);
  return all
    .filter(({ contender }) => contender !== subject)
    .flatMap(({ prefix, contender: peer, runs }) => {
      const own = all.find((each) => each.prefix === prefix && each.contender === subject);
      if (own === undefined) return [];
      const pairs = runs.flatMap((other) => {
        const same = own.runs.find(({ round }) => round === other.round);
        return same === undefined ? [] : [{ own: same, other }];
      });
      return pairs.length === 0 ? [] : [{ prefix, peer, pairs }];
    });
}
