/**
 * What a rule looks at, as data: evaluated in this process over snapshots, and written out as PromQL. A small part
 * of PromQL, with its meaning. Labels of matching never name the server: that is always matched too.
 */
export type Expression =
  | { readonly kind: "metric"; readonly name: string; readonly where: Matchers }
  | {
      /** Over the last `windowMs`; resets of a counter are seen and bridged. */
      readonly kind: "increase" | "rate" | "changes" | "highest";
      readonly name: string;
      readonly where: Matchers;
      readonly windowMs: number;
    }
  | {
      /** 1 for each server whose series was there within the last hour and not for `windowMs`. */
      readonly kind: "lost";
      readonly name: string;
      readonly where: Matchers;
      readonly windowMs: number;
    }
  | {
      /** A quantile, 0 to 1, of what a histogram saw over `windowMs`, per server. */
      readonly kind: "quantile";
      readonly quantile: number;
      readonly name: string;
      readonly where: Matchers;
      readonly windowMs: number;
    }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "time" }
  | {
      readonly kind: "sum" | "max" | "min" | "count";
      readonly of: Expression;
      readonly by: readonly string[];
      /** Over all servers together. */
      readonly acrossServers?: boolean;
    }
  | {
      readonly kind: "arithmetic";
      readonly op: "+" | "-" | "*" | "/";
      readonly left: Expression;
      readonly right: Expression;
      /** Labels to match on beside the server; absent, all labels must be the same. */
      readonly on?: readonly string[];
    }
  | {
      readonly kind: "compare";
      readonly op: Comparison;
      readonly left: Expression;
      readonly right: number;
    }
  | {
      /** Keeps the series of `left` that have a match in `right` (`and`) or have none (`unless`). */
      readonly kind: "and" | "unless";
      readonly left: Expression;
      readonly right: Expression;
      readonly on: readonly string[];
    };

export type Comparison = ">" | ">=" | "<" | "<=" | "==" | "!=";

/** A label's value: equal to, or, with `not`, different from. */
export type Matchers = Readonly<Record<string, string | { readonly not: string }>>;

const minutes = 60_000;

export function metric(name: string, where: Matchers = {}): Expression {
  return { kind: "metric", name, where };
}

/** Growth of a counter over a window. */
export function increase(name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "increase", name, where, windowMs: windowMinutes * minutes };
}

/** Growth of a counter per second. */
export function rate(name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "rate", name, where, windowMs: windowMinutes * minutes };
}

/** How often a gauge changed its value. */
export function changes(name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "changes", name, where, windowMs: windowMinutes * minutes };
}

/** The greatest value of a gauge over a window. */
export function highest(name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "highest", name, where, windowMs: windowMinutes * minutes };
}

/** What was there within the last hour and has not been for a while: 1 for each such server. */
export function lost(name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "lost", name, where, windowMs: windowMinutes * minutes };
}

/** A quantile of a histogram over a window. */
export function quantile(of: number, name: string, windowMinutes: number, where: Matchers = {}): Expression {
  return { kind: "quantile", quantile: of, name, where, windowMs: windowMinutes * minutes };
}

export function number(value: number): Expression {
  return { kind: "number", value };
}

/** Seconds since the epoch. */
export function time(): Expression {
  return { kind: "time" };
}

export function aggregate(
  kind: "sum" | "max" | "min" | "count",
  of: Expression,
  by: readonly string[] = [],
  options: { readonly acrossServers?: boolean } = {},
): Expression {
  return { kind, of, by, ...options };
}

export function arithmetic(
  left: Expression,
  op: "+" | "-" | "*" | "/",
  right: Expression,
  on?: readonly string[],
): Expression {
  return { kind: "arithmetic", op, left, right, ...(on && { on }) };
}

export function compare(left: Expression, op: Comparison, right: number): Expression {
  return { kind: "compare", op, left, right };
}

export function and(left: Expression, right: Expression, on: readonly string[] = []): Expression {
  return { kind: "and", left, right, on };
}

export function unless(left: Expression, right: Expression, on: readonly string[] = []): Expression {
  return { kind: "unless", left, right, on };
}

/** The metrics an expression reads. */
export function metricsOf(expression: Expression): ReadonlySet<string> {
  const names = new Set<string>();
  visit(expression, (node) => {
    if ("name" in node) names.add(node.name);
  });
  return names;
}

/** The metrics whose past an expression needs, with how far back. */
export function windowsOf(expression: Expression): ReadonlyMap<string, number> {
  const windows = new Map<string, number>();
  visit(expression, (node) => {
    if (!("windowMs" in node)) return;
    const name = node.kind === "quantile" ? bucketsOf(node.name) : node.name;
    windows.set(name, Math.max(windows.get(name) ?? 0, node.kind === "lost" ? lostWithinMs : node.windowMs));
  });
  return windows;
}

/** How long a series that is lost is missed. */
export const lostWithinMs: number = 60 * minutes;

/** The series of a histogram's buckets. */
export const bucketsOf = (histogram: string): string => `${histogram}_bucket`;

function visit(node: Expression, see: (node: Expression) => void): void {
  see(node);
  if ("of" in node) visit(node.of, see);
  if ("left" in node) visit(node.left, see);
  if ("right" in node && typeof node.right !== "number") visit(node.right, see);
}
