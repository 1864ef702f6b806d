import type { Queryable } from "@db/core";
import { type CollectContext, columnsOf, type MetricColumn, toNumber, toText } from "./collector.ts";
import { Remainder } from "./remainder.ts";
import type { MetricTable } from "./snapshot.ts";
import { StickySet } from "./sticky.ts";

/** A column of a ranking; `other: "none"` where a sum over many things says nothing. */
export interface RankedColumn extends MetricColumn {
  readonly other?: "none";
}

/** The top of many things, each with its own series, and one row for all the rest. */
export interface RankedOptions {
  /** Text that names a row for good, unique among rows; null for rows that must stay in `other`. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of the row for the rest, in the order of `labels`. */
  readonly otherLabels: (context: CollectContext) => readonly string[];
  readonly from: string;
  /** Greatest first. */
  readonly rank: string;
  readonly columns: readonly RankedColumn[];
  /** How many things a row stands for. Default 1. */
  readonly weight?: string;
}

/** One row of a ranking before it becomes metrics. */
export interface RankedRow {
  readonly id: string | null;
  readonly labels: readonly string[];
  readonly values: readonly (number | null)[];
}

/** What a ranking remembers between its runs. */
export class Ranking {
  readonly #sticky: StickySet;
  readonly #remainder = new Remainder();
  readonly #limit: number;

  constructor({ limit, stickyMs }: { readonly limit: number; readonly stickyMs: number }) {
    this.#limit = limit;
    this.#sticky = new StickySet({ keepMs: stickyMs, max: limit * 2 });
  }

  /** Runs the ranking once. The row for the rest comes last, and is there even when nothing is in it. */
  async read(session: Queryable, options: RankedOptions, context: CollectContext): Promise<RankedTable> {
    const columns = columnsOf(options.columns, context.version);
    const kept = this.#sticky.ids(context.now).join(",");
    const sql = rankedSql(options, columns);
    const { rows } = await session.query<Record<string, unknown>>(sql, [this.#limit, kept]);
    const width = Object.keys(options.labels).length;
    const result: RankedRow[] = [];
    const top: string[] = [];
    let total: readonly (number | null)[] = [];
    let count = 0;
    for (const row of rows) {
      const values = columns.map((_, i) => toNumber(row[`m${i}`]));
      if (row["total"] === true) {
        total = values;
        count = toNumber(row["weight"]) ?? 0;
        continue;
      }
      const id = toText(row["id"]);
      result.push({ id, labels: Array.from({ length: width }, (_, i) => toText(row[`l${i}`])), values });
      if (row["top"] === true) top.push(id);
    }
    // The rest is what is left of the whole, never less than nothing: the sums are of floating point numbers.
    const left = columns.map((_, i) =>
      Math.max(
        0,
        result.reduce((sum, { values }) => sum - (values[i] ?? 0), total[i] ?? 0),
      ),
    );
    this.#sticky.saw(top, context.now);
    const counters = columns.map((column) => column.type === "counter" && column.other !== "none");
    const continued = this.#remainder.next({
      exported: new Map(result.map((row) => [row.id ?? "", row.values])),
      other: left,
    });
    const rest: RankedRow = {
      id: null,
      labels: options.otherLabels(context),
      values: columns.map((column, i) =>
        column.other === "none" ? null : counters[i] ? (continued[i] ?? 0) : (left[i] ?? 0),
      ),
    };
    const all = [...result, rest];
    return {
      rows: all,
      count,
      columns: columns.map(({ name }) => name),
      table: {
        labelNames: Object.keys(options.labels),
        metrics: columns.map(({ name }) => name),
        rows: all.map(({ labels, values }) => ({ labels, values })),
      },
    };
  }
}

export interface RankedTable {
  readonly rows: readonly RankedRow[];
  /** The sum of the weights: how many things there are. */
  readonly count: number;
  /** Metric names, in the order of each row's values. */
  readonly columns: readonly string[];
  readonly table: MetricTable;
}

// Only the top is sorted, and only by its rank; the rest is summed once. Labels become text at the end.
function rankedSql(options: RankedOptions, columns: readonly RankedColumn[]): string {
  const labels = Object.values(options.labels);
  const list = (items: readonly string[]): string => items.map((item) => `, ${item}`).join("");
  return `
    with base as materialized (
      select ${options.id} as id, ${options.rank} as rank, ${options.weight ?? "1"} as weight
             ${list(labels.map((sql, i) => `${sql} as l${i}`))}
             ${list(columns.map(({ sql }, i) => `(${sql})::float8 as m${i}`))}
        from ${options.from}),
    top as materialized (select id from base where id is not null order by rank desc nulls last limit $1),
    kept as materialized (select id from top union select unnest(string_to_array($2, ',')))
    select false as total, b.id, b.id in (select id from top) as top, 0::float8 as weight
           ${list(labels.map((_, i) => `b.l${i}::text`))}${list(columns.map((_, i) => `b.m${i}`))}
      from base b join kept k on k.id = b.id
    union all
    select true, null, false, sum(weight)::float8
           ${list(labels.map(() => "null"))}${list(columns.map((_, i) => `sum(m${i})`))}
      from base`;
}
