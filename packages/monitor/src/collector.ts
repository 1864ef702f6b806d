import type { Queryable } from "@db/core";
import type { Facts } from "./facts.ts";
import type { MetricDefinition, ServerScope, Tier } from "./metric.ts";
import type { LiveRun, RowsOf } from "./live.ts";
import { freeText, rowsSql } from "./rows.ts";
import type { MetricTable } from "./snapshot.ts";

/** What a collector knows about where it runs. */
export interface CollectContext {
  /** Major version: 12 to 18 and later. */
  readonly version: number;
  readonly role: "primary" | "standby";
  readonly database: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly limits: CollectLimits;
  readonly detail: Detail;
}

/** `full` adds every column of `pg_stat_statements` for the statements that have series of their own. */
export type Detail = "usual" | "full";

/** How many things get their own series; the rest is summed as `other`. */
export interface CollectLimits {
  readonly tables: number;
  readonly indexes: number;
  readonly statements: number;
  /** How long something that was once among the top keeps its series, milliseconds. */
  readonly stickyMs: number;
}

/** What one run gives. */
export interface Collected {
  readonly tables: readonly MetricTable[];
  readonly facts?: Partial<Facts>;
}

/** Reads a group of metrics that belong together, in one statement where it can. */
export interface Collector {
  readonly name: string;
  readonly tier: Tier;
  /** Once for a server, or once for every database of it that the monitor is connected to. */
  readonly per: "server" | "database";
  readonly scope: ServerScope;
  /** First major version it works on. */
  readonly since: number;
  /** True where nobody needs it by the second: however often there are scrapes, it is read every five at most. */
  readonly unhurried?: boolean;
  readonly metrics: readonly MetricDefinition[];
  /**
   * A run for one server and database; what it must remember from one run to the next lives inside. Tier T0 is read
   * live, along with all others of it.
   */
  begin(): CollectorRun | LiveRun;
}

export type CollectorRun = (session: Queryable, context: CollectContext) => Promise<Collected>;

/** The parts of a metric that its collector does not already say. */
export interface MetricColumn {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** The SQL expression that gives it. */
  readonly sql: string;
  readonly since?: number;
  readonly until?: number;
  readonly aliasOf?: string;
}

/** Metrics that share one statement. */
export interface ViewOptions {
  readonly name: string;
  readonly tier: Tier;
  readonly per?: "server" | "database";
  readonly scope?: ServerScope;
  readonly since?: number;
  readonly unhurried?: boolean;
  /** Label name to the SQL expression that gives it; null becomes the empty string. */
  readonly labels: Readonly<Record<string, string>>;
  /** Everything after `from`, as it reads on that major version. */
  readonly from: string | ((version: number) => string);
  readonly columns: readonly MetricColumn[];
}

export function gauge(name: string, sql: string, help: string, versions: ColumnVersions = {}): MetricColumn {
  return { name, type: "gauge", sql, help, ...versions };
}

export function counter(name: string, sql: string, help: string, versions: ColumnVersions = {}): MetricColumn {
  return { name, type: "counter", sql, help, ...versions };
}

interface ColumnVersions {
  readonly since?: number;
  readonly until?: number;
  readonly aliasOf?: string;
}

/** The definitions of columns in a collector; a column that changed over the versions becomes one definition. */
export function defineMetrics(
  columns: readonly DefinedColumn[],
  common: {
    readonly name: string;
    readonly tier: Tier;
    readonly scope?: ServerScope | undefined;
    readonly since?: number | undefined;
  },
  labels: readonly string[],
): readonly MetricDefinition[] {
  const byName = Map.groupBy(columns, (column) => column.name);
  return [...byName.values()].map((variants) => define(merge(variants), common, labels));
}

type DefinedColumn = Omit<MetricColumn, "sql"> & { readonly detail?: "full" };

function define(
  column: DefinedColumn,
  common: Parameters<typeof defineMetrics>[1],
  labels: readonly string[],
): MetricDefinition {
  return {
    name: column.name,
    type: column.type,
    help: column.help,
    labels,
    tier: common.tier,
    collector: common.name,
    since: Math.max(common.since ?? 12, column.since ?? 12),
    ...(column.until !== undefined && { until: column.until }),
    scope: common.scope ?? "any",
    ...(column.aliasOf !== undefined && { aliasOf: column.aliasOf }),
    ...(column.detail !== undefined && { detail: column.detail }),
  };
}

function merge(variants: readonly DefinedColumn[]): DefinedColumn {
  const { until: _, ...last } = variants.at(-1)!;
  const since = Math.min(...variants.map((variant) => variant.since ?? 12));
  const until = Math.max(...variants.map((variant) => variant.until ?? Number.POSITIVE_INFINITY));
  return { ...last, since, ...(Number.isFinite(until) && { until }) };
}

/** A collector that is nothing but one statement over columns chosen by version. */
export function defineView(options: ViewOptions): Collector {
  const labelNames = Object.keys(options.labels);
  return {
    name: options.name,
    tier: options.tier,
    per: options.per ?? "server",
    scope: options.scope ?? "any",
    since: options.since ?? 12,
    ...(options.unhurried !== undefined && { unhurried: options.unhurried }),
    metrics: defineMetrics(options.columns, options, labelNames),
    begin: () =>
      options.tier === "T0"
        ? {
            asks: (version) => [viewText(options, version)],
            make: (rowsOf, { version }) => ({ tables: [viewTable(options, version, rowsOf)] }),
          }
        : async (session, context) => ({ tables: [await readView(session, options, context.version)] }),
  };
}

type View = Pick<ViewOptions, "labels" | "from" | "columns">;

/** Runs the statement of a view and gives its rows as a metric table. */
export async function readView(
  session: Queryable,
  options: View,
  version: number,
  values: readonly unknown[] = [],
): Promise<MetricTable> {
  const { sql, labelNames, labelKeys, metrics, valueKeys } = viewOn(options, version);
  const { rows } = await session.query<Record<string, unknown>>(sql, values);
  return {
    labelNames,
    metrics,
    rows: rows.map((row) => ({
      labels: labelKeys.map((key) => toText(row[key])),
      values: valueKeys.map((key) => toNumber(row[key])),
    })),
  };
}

/** The statement of a view as live collectors ask it: labels first, then values. */
export function viewText(options: View, version: number): string {
  return viewOn(options, version).live;
}

function viewTable(options: View, version: number, rowsOf: RowsOf): MetricTable {
  const { live, labelNames, metrics } = viewOn(options, version);
  return {
    labelNames,
    metrics,
    rows: rowsOf(live).map((row) => {
      const values: (number | null)[] = [];
      for (let i = labelNames.length; i < row.length; i++) values.push(toNumber(row[i]));
      return { labels: row.slice(0, labelNames.length), values };
    }),
  };
}

/** A view as it reads on one major version. */
interface VersionedView {
  readonly sql: string;
  readonly live: string;
  readonly labelNames: readonly string[];
  /** Columns of the rows that hold the labels, and the values. */
  readonly labelKeys: readonly string[];
  readonly metrics: readonly string[];
  readonly valueKeys: readonly string[];
}

/** Put together once: a scrape a second would do so for every view. */
const versionedViews = new WeakMap<object, Map<number, VersionedView>>();

function viewOn(options: View, version: number): VersionedView {
  const known = versionedViews.get(options) ?? new Map<number, VersionedView>();
  versionedViews.set(options, known);
  let view = known.get(version);
  if (!view) {
    const columns = columnsOf(options.columns, version);
    const labelNames = Object.keys(options.labels);
    const labelKeys = labelNames.map((_, i) => `l${i}`);
    const valueKeys = columns.map((_, i) => `m${i}`);
    const labels = Object.values(options.labels).map((sql, i) => `(${sql})::text as ${labelKeys[i]}`);
    const values = columns.map(({ sql }, i) => `(${sql})::float8 as ${valueKeys[i]}`);
    const from = typeof options.from === "string" ? options.from : options.from(version);
    const sql = `select ${[...labels, ...values].join(", ")} from ${from}`;
    const live = rowsSql(
      [...Object.values(options.labels).map(freeText), ...columns.map((column) => column.sql)],
      `from ${from}`,
    );
    view = { sql, live, labelNames, labelKeys, metrics: columns.map(({ name }) => name), valueKeys };
    known.set(version, view);
  }
  return view;
}

export function columnsOf<Column extends Pick<MetricColumn, "since" | "until">>(
  columns: readonly Column[],
  version: number,
): readonly Column[] {
  return columns.filter((c) => (c.since ?? 0) <= version && version <= (c.until ?? Number.POSITIVE_INFINITY));
}

/** A number however the driver gives it; `null` for null, the empty string and what is no number. */
export function toNumber(value: unknown): number | null {
  if (typeof value === "number") return Number.isNaN(value) ? null : value;
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  const number = Number(value);
  return Number.isNaN(number) ? null : number;
}

/** Text however the driver gives it; empty for null. */
export function toText(value: unknown): string {
  if (typeof value === "string") return value;
  return value === null || value === undefined ? "" : String(value as string | number | boolean);
}
