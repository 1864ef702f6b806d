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

export interface RankedTable {
  readonly table: MetricTable;
  /** What names each row of the table, its key joined by `/`; `null` for the row of the rest. */
  readonly ids: readonly (string | null)[];
  /** How many rows the server has. */
  readonly count: number;
}

/** A row that has series of its own. */
interface Found {
  readonly id: string;
  readonly labels: readonly string[];
  values: Values;
  rank: number;
}

/** What a reading gave: rows by their ids, and what all others come to. */
interface Read {
  readonly found: readonly Found[];
  readonly left: Values;
  readonly count: number;
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
    const { found, left, count } = await (Number.isFinite(this.#limit)
      ? this.#readTop(session, options, columns, context.now)
      : this.#readAll(session, options, columns));
    const continued = left.every((value) => value === 0)
      ? this.#remainder.nothing()
      : this.#remainder.next({ exported: new Map(found.map(({ id, values }) => [id, values])), other: left });
    const rest = columns.map(({ type, other }, i) =>
      other === "none" ? null : type === "counter" ? (continued[i] ?? 0) : (left[i] ?? 0),
    );
    return {
      count,
      ids: [...found.map(({ id }) => id), null],
      table: {
        labelNames: Object.keys(options.labels),
        metrics,
        rows: [
          ...found.map(({ labels, values }) => ({ labels, values })),
          { labels: options.otherLabels(context), values: rest },
        ],
      },
    };
  }

  async #readTop(
    session: Queryable,
    options: RankedOptions,
    columns: readonly RankedColumn[],
    now: number,
  ): Promise<Read> {
    const kept = this.#sticky.ids(now).map((id) => id.split("/"));
    const arrays = options.key.map((_, i) => `{${kept.map((parts) => parts[i]).join(",")}}`);
    const { rows } = await session.query<Row>(topSql(options, columns), [this.#limit, ...arrays]);
    const totals = rows.find((row) => row["total"] === true) ?? {};
    const { found } = sortOut(
      rows.filter((row) => row["total"] !== true),
      options,
      columns,
    );
    const byRank = found.toSorted((a, b) => b.rank - a.rank);
    this.#sticky.saw(
      byRank.slice(0, this.#limit).map(({ id }) => id),
      now,
    );
    // The rest is what is left of the whole, never less than nothing: the sums are of floating point numbers.
    const left = valuesOf(totals, columns).map((whole, i) =>
      Math.max(
        0,
        byRank.reduce((sum, { values }) => sum - (values[i] ?? 0), whole ?? 0),
      ),
    );
    return { found: byRank, left, count: toNumber(totals["count"]) ?? 0 };
  }

  async #readAll(session: Queryable, options: RankedOptions, columns: readonly RankedColumn[]): Promise<Read> {
    const { rows } = await session.query<Row>(allSql(options, columns));
    return { ...sortOut(rows, options, columns), count: rows.length };
  }
}

type Row = Record<string, unknown>;

/** Rows of one key become one; a row without a key is one the role may not see, and is part of the rest. */
function sortOut(
  rows: readonly Row[],
  options: RankedOptions,
  columns: readonly RankedColumn[],
): Pick<Read, "found" | "left"> {
  const keys = options.key.map((_, i) => `k${i}`);
  const labels = Object.keys(options.labels).map((_, i) => `l${i}`);
  const metrics = columns.map(({ name }) => name);
  const merge = options.merge ?? sums;
  const byId = new Map<string, Found>();
  let left: Values = columns.map(() => 0);
  for (const row of rows) {
    const values = valuesOf(row, columns);
    if (keys.some((key) => row[key] === null)) {
      left = sums(left, values, metrics);
      continue;
    }
    let id = toText(row[keys[0]!]);
    for (let i = 1; i < keys.length; i++) id += `/${toText(row[keys[i]!])}`;
    const rank = toNumber(row["rank"]) ?? 0;
    const same = byId.get(id);
    if (same) {
      same.values = merge(same.values, values, metrics);
      same.rank += rank;
    } else byId.set(id, { id, labels: labels.map((label) => toText(row[label])), values, rank });
  }
  return { found: [...byId.values()], left };
}

const sums: NonNullable<RankedOptions["merge"]> = (a, b) => a.map((value, i) => (value ?? 0) + (b[i] ?? 0));

// Names of columns, made once: this runs for every value of every row.
const columnNames: string[] = [];
const columnName = (i: number): string => (columnNames[i] ??= `m${i}`);

function valuesOf(row: Row, columns: readonly RankedColumn[]): Values {
  const values: (number | null)[] = [];
  for (let i = 0; i < columns.length; i++) {
    const { scale, sparse } = columns[i]!;
    const value = toNumber(row[columnName(i)]) ?? (sparse ? 0 : null);
    values.push(value === null || scale === undefined ? value : value * scale);
  }
  return values;
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
