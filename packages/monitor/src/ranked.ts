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
  /** Text that names a row for good; null for rows that must stay in `other`. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of the row for the rest, in the order of `labels`. */
  readonly otherLabels: (context: CollectContext) => readonly string[];
  readonly from: string;
  /** Greatest first. */
  readonly rank: string;
  readonly columns: readonly RankedColumn[];
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
    let other: RankedRow | undefined;
    const top: string[] = [];
    for (const row of rows) {
      const ranked: RankedRow = {
        id: row["id"] === null ? null : toText(row["id"]),
        labels: Array.from({ length: width }, (_, i) => toText(row[`l${i}`])),
        values: columns.map((_, i) => toNumber(row[`m${i}`])),
      };
      if (ranked.id === null) other = ranked;
      else result.push(ranked);
      if (row["top"] === true && ranked.id !== null) top.push(ranked.id);
    }
    this.#sticky.saw(top, context.now);
    const counters = columns.map((column) => column.type === "counter" && column.other !== "none");
    const continued = this.#remainder.next({
      exported: new Map(result.map((row) => [row.id ?? "", row.values])),
      other: columns.map((_, i) => other?.values[i] ?? 0),
    });
    const rest: RankedRow = {
      id: null,
      labels: options.otherLabels(context),
      values: columns.map((column, i) =>
        column.other === "none" ? null : counters[i] ? (continued[i] ?? 0) : (other?.values[i] ?? 0),
      ),
    };
    const all = [...result, rest];
    return {
      rows: all,
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
  /** Metric names, in the order of each row's values. */
  readonly columns: readonly string[];
  readonly table: MetricTable;
}

function rankedSql(options: RankedOptions, columns: readonly RankedColumn[]): string {
  const labels = Object.values(options.labels);
  const list = (items: readonly string[]): string => items.map((item) => `, ${item}`).join("");
  return `
    with ranked as (
      select ${options.id} as id${list(labels.map((sql, i) => `(${sql})::text as l${i}`))}
             ${list(columns.map(({ sql }, i) => `(${sql})::float8 as m${i}`))},
             row_number() over (order by ${options.rank} desc nulls last) as rank
        from ${options.from}),
    sorted as (
      select *, id is not null and (rank <= $1 or id = any(string_to_array($2, ','))) as keep from ranked)
    select case when keep then id end as id, coalesce(bool_or(rank <= $1), false) as top
           ${list(labels.map((_, i) => `case when keep then l${i} end as l${i}`))}
           ${list(columns.map(({ other }, i) => (other === "none" ? `max(m${i}) as m${i}` : `sum(m${i}) as m${i}`)))}
      from sorted
     group by keep, case when keep then id end${list(labels.map((_, i) => `case when keep then l${i} end`))}`;
}
