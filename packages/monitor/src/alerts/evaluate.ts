import { type Sample, samplesOf, type Snapshot } from "../snapshot.ts";
import { bucketsOf, type Expression, type Matchers } from "./expression.ts";
import type { SampleWindow } from "./window.ts";

/** What an expression is evaluated over. */
export interface EvaluationInput {
  readonly snapshot: Snapshot;
  readonly window: SampleWindow;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The series an expression gives now. Empty when nothing matches; a number is one series without labels. */
export function evaluate(expression: Expression, input: EvaluationInput): readonly Sample[] {
  switch (expression.kind) {
    case "number":
      return [{ labels: {}, value: expression.value }];
    case "time":
      return [{ labels: {}, value: input.now / 1000 }];
    case "metric":
      return samplesOf(input.snapshot, expression.name).filter((sample) => matches(sample, expression.where));
    case "increase":
    case "rate":
    case "changes":
    case "highest":
      return samplesOf(input.snapshot, expression.name)
        .filter((sample) => matches(sample, expression.where))
        .flatMap(({ labels }) => {
          const value = input.window[expression.kind](expression.name, labels, expression.windowMs, input.now);
          return value === undefined ? [] : [{ labels, value }];
        });
    case "lost":
      return lostServers(expression, input);
    case "quantile":
      return quantiles(expression, input);
    case "sum":
    case "max":
    case "min":
    case "count":
      return aggregated(expression, evaluate(expression.of, input));
    case "arithmetic":
      return calculated(expression, evaluate(expression.left, input), evaluate(expression.right, input));
    case "compare":
      return evaluate(expression.left, input).filter(({ value }) => holds(value, expression.op, expression.right));
    default: {
      const right = new Set(evaluate(expression.right, input).map((sample) => keyOf(sample, expression.on)));
      const wanted = expression.kind === "and";
      return evaluate(expression.left, input).filter((s) => right.has(keyOf(s, expression.on)) === wanted);
    }
  }
}

/** True when `value op limit`. */
export function holds(value: number, op: ">" | ">=" | "<" | "<=" | "==" | "!=", limit: number): boolean {
  switch (op) {
    case ">":
      return value > limit;
    case ">=":
      return value >= limit;
    case "<":
      return value < limit;
    case "<=":
      return value <= limit;
    case "==":
      return value === limit;
    default:
      return value !== limit;
  }
}

function matches(sample: Sample, where: Matchers): boolean {
  return Object.entries(where).every(([name, wanted]) => {
    const value = sample.labels[name] ?? "";
    return typeof wanted === "string" ? value === wanted : value !== wanted.not;
  });
}

function keyOf({ labels }: Sample, on: readonly string[] | undefined): string {
  if (on === undefined) return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify(["server", ...on].map((name) => labels[name] ?? ""));
}

function lostServers(
  { name, where, windowMs }: Extract<Expression, { readonly kind: "lost" }>,
  { window, now }: EvaluationInput,
): readonly Sample[] {
  const samples = window
    .lost(name, windowMs, now)
    .map((labels) => ({ labels, value: 1 }))
    .filter((sample) => matches(sample, where));
  const servers = new Set(samples.map(({ labels }) => labels["server"]));
  return [...servers].map((server) => ({ labels: server === undefined ? {} : { server }, value: 1 }));
}

function quantiles(
  { quantile, name, where, windowMs }: Extract<Expression, { readonly kind: "quantile" }>,
  { snapshot, window, now }: EvaluationInput,
): readonly Sample[] {
  const buckets = samplesOf(snapshot, bucketsOf(name)).filter((sample) => matches(sample, where));
  return [...Map.groupBy(buckets, ({ labels }) => labels["server"]).entries()].flatMap(([server, of]) => {
    const counts = new Map<number, number>();
    for (const { labels } of of) {
      const le = labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]);
      const grown = window.increase(bucketsOf(name), labels, windowMs, now) ?? 0;
      counts.set(le, (counts.get(le) ?? 0) + grown);
    }
    const value = quantileOf(
      quantile,
      [...counts].toSorted(([a], [b]) => a - b),
    );
    return value === undefined ? [] : [{ labels: server === undefined ? {} : { server }, value }];
  });
}

/**
 * As Prometheus does it: straight lines within a bucket, and the last bound for what is beyond it.
 * @param buckets upper bounds and cumulative counts, ascending, the last one infinite
 * @returns undefined where nothing was counted
 */
export function quantileOf(
  quantile: number,
  buckets: readonly (readonly [le: number, count: number])[],
): number | undefined {
  const all = buckets.at(-1)?.[1] ?? 0;
  if (all <= 0) return undefined;
  const rank = quantile * all;
  const at = buckets.findIndex(([, count]) => count >= rank);
  const [upper, count] = buckets[at]!;
  const [lower, below] = at === 0 ? [0, 0] : buckets[at - 1]!;
  if (upper === Number.POSITIVE_INFINITY) return at === 0 ? undefined : lower;
  return count === below ? upper : lower + ((upper - lower) * (rank - below)) / (count - below);
}

function aggregated(
  { kind, by, acrossServers }: Extract<Expression, { readonly of: Expression }>,
  samples: readonly Sample[],
): readonly Sample[] {
  const kept = acrossServers ? by : ["server", ...by];
  const groups = Map.groupBy(samples, ({ labels }) => JSON.stringify(kept.map((name) => labels[name] ?? "")));
  return [...groups.values()].map((group) => {
    const values = group.map(({ value }) => value);
    const labels = Object.fromEntries(
      kept.flatMap((name) => {
        const value = group[0]?.labels[name];
        return value === undefined ? [] : [[name, value]];
      }),
    );
    return { labels, value: reduce(kind, values) };
  });
}

function reduce(kind: "sum" | "max" | "min" | "count", values: readonly number[]): number {
  if (kind === "count") return values.length;
  if (kind === "sum") return values.reduce((a, b) => a + b, 0);
  return values.reduce((a, b) => (kind === "max" ? Math.max(a, b) : Math.min(a, b)));
}

function calculated(
  { op, left, right, on }: Extract<Expression, { readonly kind: "arithmetic" }>,
  lefts: readonly Sample[],
  rights: readonly Sample[],
): readonly Sample[] {
  const finite = (samples: readonly Sample[]): readonly Sample[] => samples.filter(({ value }) => !Number.isNaN(value));
  if (isScalar(right)) {
    const operand = rights[0]?.value ?? Number.NaN;
    return finite(lefts.map(({ labels, value }) => ({ labels, value: apply(op, value, operand) })));
  }
  if (isScalar(left)) {
    const operand = lefts[0]?.value ?? Number.NaN;
    return finite(rights.map(({ labels, value }) => ({ labels, value: apply(op, operand, value) })));
  }
  const byKey = new Map(rights.map((sample) => [keyOf(sample, on), sample.value]));
  return finite(
    lefts.flatMap((sample) => {
      const other = byKey.get(keyOf(sample, on));
      return other === undefined ? [] : [{ labels: sample.labels, value: apply(op, sample.value, other) }];
    }),
  );
}

const isScalar = ({ kind }: Expression): boolean => kind === "number" || kind === "time";

function apply(op: "+" | "-" | "*" | "/", a: number, b: number): number {
  if (op === "+") return a + b;
  if (op === "-") return a - b;
  return op === "*" ? a * b : a / b;
}
