import { bucketsOf, type Expression, lostWithinMs, type Matchers } from "../alerts/expression.ts";

// Every series carries the scraped instance and the server behind it; sums and matches must not cross them.
const own = ["instance", "server"] as const;

/** An expression as PromQL. */
export function toPromql(expression: Expression): string {
  switch (expression.kind) {
    case "number":
      return String(expression.value);
    case "time":
      return "time()";
    case "metric":
      return `${expression.name}${selector(expression.where)}`;
    case "increase":
    case "rate":
    case "changes":
      return `${expression.kind}(${over(expression)})`;
    case "highest":
      return `max_over_time(${over(expression)})`;
    case "lost": {
      const last = (range: string): string =>
        `max by (${own.join(", ")}) (last_over_time(${expression.name}${selector(expression.where)}[${range}]))`;
      // There is nothing to be seen of what is gone: what was there an hour ago tells of it.
      return `(${last(`${lostWithinMs / 60_000}m`)} unless on (${own.join(", ")}) ${last(`${expression.windowMs / 60_000}m`)}) * 0 + 1`;
    }
    case "quantile": {
      const buckets = over({ ...expression, name: bucketsOf(expression.name) });
      return `histogram_quantile(${expression.quantile}, sum by (${[...own, "le"].join(", ")}) (rate(${buckets})))`;
    }
    case "sum":
    case "max":
    case "min":
    case "count": {
      const by = [...(expression.acrossServers ? ["instance"] : own), ...expression.by];
      return `${expression.kind} by (${by.join(", ")}) (${toPromql(expression.of)})`;
    }
    case "arithmetic": {
      const matched =
        expression.on === undefined || isScalar(expression.left) || isScalar(expression.right)
          ? ""
          : ` on (${[...own, ...expression.on].join(", ")}) group_left ()`;
      return `(${toPromql(expression.left)} ${expression.op}${matched} ${toPromql(expression.right)})`;
    }
    case "compare":
      return `(${toPromql(expression.left)} ${expression.op} ${expression.right})`;
    default:
      return (
        `(${toPromql(expression.left)} ${expression.kind} on (${[...own, ...expression.on].join(", ")}) ` +
        `${toPromql(expression.right)})`
      );
  }
}

const over = (of: { readonly name: string; readonly where: Matchers; readonly windowMs: number }): string =>
  `${of.name}${selector(of.where)}[${of.windowMs / 60_000}m]`;

const isScalar = ({ kind }: Expression): boolean => kind === "number" || kind === "time";

function selector(where: Matchers): string {
  const matchers = Object.entries(where).map(([name, wanted]) =>
    typeof wanted === "string" ? `${name}=${JSON.stringify(wanted)}` : `${name}!=${JSON.stringify(wanted.not)}`,
  );
  return matchers.length === 0 ? "" : `{${matchers.join(",")}}`;
}
