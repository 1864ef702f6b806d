/**
 * What a rule looks at, as data: evaluated in this process over snapshots, and written out as PromQL. A small part
 * of PromQL, with its meaning. Labels of matching never name the server: that is always matched too.
 */
export type Expression =
  | { readonly kind: "metric"; readonly name: string; readonly where: Matchers }
  | {
      /** Over the last `windowMs`; resets of a counter are seen and bridged. */
      readonly kind: "increase" | "rate" | "changes";
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
    if ("windowMs" in node) windows.set(node.name, Math.max(windows.get(node.name) ?? 0, node.windowMs));
  });
  return windows;
}

function visit(node: Expression, see: (node: Expression) => void): void {
  see(node);
  if ("of" in node) visit(node.of, see);
  if ("left" in node) visit(node.left, see);
  if ("right" in node && typeof node.right !== "number") visit(node.right, see);
}
