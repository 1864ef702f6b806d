import type { Queryable } from "@db/core";
import { type CollectContext, columnsOf, type MetricColumn, toNumber, toText } from "./collector.ts";
import { Remainder } from "./remainder.ts";
import type { MetricTable } from "./snapshot.ts";
import { StickySet } from "./sticky.ts";

/** A column of a ranking; `other: "none"` where a sum over many things says nothing. */
export interface RankedColumn extends MetricColumn {
  readonly other?: "none";
  /** Only read with `detail: "full"`. */
  readonly detail?: "full";
  /** What the value is multiplied by here rather than by the server. */
  readonly scale?: number;
  /** Mostly 0: sent as null then, which costs the server half. */
  readonly sparse?: true;
}

/** The top of many things, each with its own series, and one row for all the rest. */
export interface RankedOptions {
  /** Common table expressions that `from` uses, without `with`. */
  readonly with?: string;
  /** What names a row for good, as the server has it: text made of it for every row would cost more than the rest. */
  readonly key: readonly { readonly sql: string; readonly type: "oid" | "bigint" }[];
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of the row for the rest, in the order of `labels`. */
  readonly otherLabels: (context: CollectContext) => readonly string[];
  readonly from: string;
  /** Greatest first. */
  readonly rank: string;
  readonly columns: readonly RankedColumn[];
  /** Joins two rows of one key. Default: their sums. */
  readonly merge?: (a: Values, b: Values, metrics: readonly string[]) => Values;
}

type Values = readonly (number | null)[];

/** One row of a ranking before it becomes metrics. */
export interface RankedRow {
  readonly id: string | null;
  readonly labels: readonly string[];
  readonly values: Values;
}

export interface RankedTable {
  readonly rows: readonly RankedRow[];
  /** How many rows the server has. */
  readonly count: number;
  /** Metric names, in the order of each row's values. */
  readonly columns: readonly string[];
  readonly table: MetricTable;
}

interface Found {
  readonly id: string;
  readonly labels: readonly string[];
  values: Values;
  rank: number;
}

/** What a ranking remembers between its runs. */
export class Ranking {
  readonly #sticky: StickySet;
  readonly #remainder = new Remainder();
  readonly #limit: number;

  /** @param limit how many rows have series of their own; `Infinity` for all */
  constructor({ limit, stickyMs }: { readonly limit: number; readonly stickyMs: number }) {
    this.#limit = limit;
    // What was among the top a while ago may stay, but must not double the number of series.
    this.#sticky = new StickySet({ keepMs: stickyMs, max: Math.ceil(limit * 1.25) });
  }

  /** Runs the ranking once. The row for the rest comes last, and is there even when nothing is in it. */
  async read(session: Queryable, options: RankedOptions, context: CollectContext): Promise<RankedTable> {
    const columns = columnsOf(options.columns, context.version).filter(
      ({ detail }) => detail === undefined || detail === context.detail,
    );
    const metrics = columns.map(({ name }) => name);
    const { found, total, count } = await (Number.isFinite(this.#limit)
      ? this.#readTop(session, options, columns, context.now)
      : this.#readAll(session, options, columns));
    // The rest is what is left of the whole, never less than nothing: the sums are of floating point numbers.
    const left = total.map((whole, i) =>
      Math.max(
        0,
        found.reduce((sum, { values }) => sum - (values[i] ?? 0), whole ?? 0),
      ),
    );
    const continued = this.#remainder.next({
      exported: new Map(found.map(({ id, values }) => [id, values])),
      other: left,
    });
    const rest: RankedRow = {
      id: null,
      labels: options.otherLabels(context),
      values: columns.map(({ type, other }, i) =>
        other === "none" ? null : type === "counter" ? (continued[i] ?? 0) : (left[i] ?? 0),
      ),
    };
    const rows: readonly RankedRow[] = [...found, rest];
    return {
      rows,
      count,
      columns: metrics,
      table: {
        labelNames: Object.keys(options.labels),
        metrics,
        rows: rows.map(({ labels, values }) => ({ labels, values })),
      },
    };
  }

  async #readTop(
    session: Queryable,
    options: RankedOptions,
    columns: readonly RankedColumn[],
    now: number,
  ): Promise<{ readonly found: readonly Found[]; readonly total: Values; readonly count: number }> {
    const kept = this.#sticky.ids(now).map((id) => id.split("/"));
    const arrays = options.key.map((_, i) => `{${kept.map((parts) => parts[i]).join(",")}}`);
    const { rows } = await session.query<Record<string, unknown>>(topSql(options, columns), [this.#limit, ...arrays]);
    const totals = rows.find((row) => row["total"] === true) ?? {};
    const found = foundIn(
      rows.filter((row) => row["total"] !== true),
      options,
      columns,
    );
    const byRank = found.toSorted((a, b) => b.rank - a.rank);
    this.#sticky.saw(
      byRank.slice(0, this.#limit).map(({ id }) => id),
      now,
    );
    return { found: byRank, total: valuesOf(totals, columns), count: toNumber(totals["count"]) ?? 0 };
  }

  async #readAll(
    session: Queryable,
    options: RankedOptions,
    columns: readonly RankedColumn[],
  ): Promise<{ readonly found: readonly Found[]; readonly total: Values; readonly count: number }> {
    const { rows } = await session.query<Record<string, unknown>>(allSql(options, columns));
    // A row without a key is one the role may not see: it is part of the rest.
    const nameless = rows.filter((row) => options.key.some((_, i) => row[`k${i}`] === null));
    const found = foundIn(
      nameless.length === 0 ? rows : rows.filter((row) => !nameless.includes(row)),
      options,
      columns,
    );
    const hidden = nameless.map((row) => valuesOf(row, columns));
    const total = columns.map((_, i) =>
      [...found.map(({ values }) => values), ...hidden].reduce((sum, values) => sum + (values[i] ?? 0), 0),
    );
    return { found, total, count: rows.length };
  }
}

function foundIn(
  rows: readonly Record<string, unknown>[],
  options: RankedOptions,
  columns: readonly RankedColumn[],
): readonly Found[] {
  const keys = options.key.map((_, i) => `k${i}`);
  const labels = Object.keys(options.labels).map((_, i) => `l${i}`);
  const metrics = columns.map(({ name }) => name);
  const merge = options.merge ?? sums;
  const byId = new Map<string, Found>();
  for (const row of rows) {
    const id = keys.map((key) => toText(row[key])).join("/");
    const rank = toNumber(row["rank"]) ?? 0;
    const same = byId.get(id);
    if (same) {
      same.values = merge(same.values, valuesOf(row, columns), metrics);
      same.rank += rank;
    } else {
      byId.set(id, { id, labels: labels.map((label) => toText(row[label])), values: valuesOf(row, columns), rank });
    }
  }
  return [...byId.values()];
}

const sums: NonNullable<RankedOptions["merge"]> = (a, b) => a.map((value, i) => (value ?? 0) + (b[i] ?? 0));

function valuesOf(row: Record<string, unknown>, columns: readonly RankedColumn[]): Values {
  return columns.map(({ scale, sparse }, i) => {
    const value = toNumber(row[`m${i}`]) ?? (sparse ? 0 : null);
    return value === null || scale === undefined ? value : value * scale;
  });
}

const list = (items: readonly string[]): string => items.map((item) => `, ${item}`).join("");

function baseSql({ key, labels, from }: RankedOptions, columns: readonly RankedColumn[], rank: string): string {
  return `select ${key.map(({ sql }, i) => `${sql} as k${i}`).join(", ")}${rank}
             ${list(Object.values(labels).map((sql, i) => `${sql} as l${i}`))}
             ${list(columns.map(({ sql, sparse }, i) => `${sparse ? `nullif(${sql}, 0)` : sql} as m${i}`))}
        from ${from}`;
}

// Only the top is sorted, and only by its rank; the rest is summed once. Sums are of floating point numbers: those of
// bigint are numeric, and three times as slow.
function topSql(options: RankedOptions, columns: readonly RankedColumn[]): string {
  const keys = options.key.map((_, i) => `k${i}`).join(", ");
  const kept = options.key.map(({ type }, i) => `$${i + 2}::${type}[]`).join(", ");
  const labels = Object.keys(options.labels).map((_, i) => `l${i}`);
  return `
    with ${options.with === undefined ? "" : `${options.with},`}
    base as materialized (${baseSql(options, columns, `, (${options.rank})::float8 as rank`)}),
    top as materialized (select ${keys} from base order by rank desc nulls last limit $1::bigint),
    kept as materialized (select * from top union select * from unnest(${kept}))
    select false as total, 0::float8 as count, b.rank, ${options.key.map((_, i) => `b.k${i}::text`).join(", ")}
           ${list(labels.map((label) => `b.${label}::text`))}${list(columns.map((_, i) => `b.m${i}::float8`))}
      from base b where (${options.key.map((_, i) => `b.k${i}`).join(", ")}) in (select * from kept)
    union all
    select true, count(*)::float8, null, ${options.key.map(() => "null").join(", ")}
           ${list(labels.map(() => "null"))}${list(columns.map((_, i) => `sum(m${i}::float8)`))}
      from base`;
}

/** Numbers stay what they are: bigint is written twice as fast as floating point. */
function allSql(options: RankedOptions, columns: readonly RankedColumn[]): string {
  return `${options.with === undefined ? "" : `with ${options.with}`} ${baseSql(options, columns, "")}`;
}
