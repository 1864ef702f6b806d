import { metricRegistry } from "../registry.ts";
import type { MetricDefinition } from "../metric.ts";
import type { MetricFamily } from "../family.ts";
import type { MetricTable, Snapshot } from "../snapshot.ts";

export interface RenderOptions {
  /** Label that tells the servers apart, `false` for none (only with one server). Default `server`. */
  readonly serverLabel?: string | false;
  /** Only the series of this server, and those of no server. Default all. */
  readonly server?: string;
  /** Only these collectors. Default all. */
  readonly collectors?: readonly string[];
}

/** The content type of `renderPrometheus`. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/** The content type of `renderOpenMetrics`. */
export const openMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** A snapshot in Prometheus' text format 0.0.4. */
export function renderPrometheus(snapshot: Snapshot, options: RenderOptions = {}): string {
  return renderPrometheusParts(snapshot, options).toArray().join("");
}

/** The same text one metric after the other, so that a large one need never be in memory whole. */
export function renderPrometheusParts(snapshot: Snapshot, options: RenderOptions = {}): IteratorObject<string> {
  return render(snapshot, options, { counterSuffix: "", end: "" });
}

/**
 * A snapshot in OpenMetrics 1.0. There the family of a counter is its name without `_total`; a counter that older
 * dashboards know without `_total` is given as `unknown`, so that its series keep their names.
 */
export function renderOpenMetrics(snapshot: Snapshot, options: RenderOptions = {}): string {
  return renderOpenMetricsParts(snapshot, options).toArray().join("");
}

/** The same text one metric after the other. */
export function renderOpenMetricsParts(snapshot: Snapshot, options: RenderOptions = {}): IteratorObject<string> {
  return render(snapshot, options, { counterSuffix: "_total", end: "# EOF\n" });
}

interface Format {
  readonly counterSuffix: "" | "_total";
  readonly end: string;
}

interface Family {
  readonly prefix: string;
  readonly table: MetricTable;
  readonly column: number;
}

const definitions: ReadonlyMap<string, MetricDefinition> = new Map(metricRegistry.map((each) => [each.name, each]));

function* render(snapshot: Snapshot, options: RenderOptions, format: Format): Generator<string, void, undefined> {
  const { serverLabel = "server" } = options;
  const families = new Map<string, Family[]>();
  const add = (tables: readonly MetricTable[], prefix: string): void => {
    for (const table of tables) {
      for (const [column, metric] of table.metrics.entries()) {
        const family = families.get(metric);
        if (family) family.push({ prefix, table, column });
        else families.set(metric, [{ prefix, table, column }]);
      }
    }
  };
  const wanted = (collector: string): boolean => options.collectors?.includes(collector) ?? true;
  for (const block of snapshot.blocks) if (wanted(block.collector)) add(block.tables, "");
  for (const server of snapshot.servers) {
    if (options.server !== undefined && options.server !== server.name) continue;
    const prefix = serverLabel === false ? "" : `${serverLabel}="${escapeLabel(server.name)}"`;
    for (const block of server.blocks) if (wanted(block.collector)) add(block.tables, prefix);
  }
  // Labels are the same for every metric of a row, so they are written once and used again.
  const labels = new Map<string, readonly string[]>();
  const tableIds = new Map<MetricTable, number>();
  const labelsOf = ({ prefix, table }: Family): readonly string[] => {
    const id = tableIds.get(table) ?? tableIds.size;
    tableIds.set(table, id);
    const key = `${id}|${prefix}`;
    let texts = labels.get(key);
    if (!texts) {
      texts = table.rows.map((row) => labelText(prefix, table.labelNames, row.labels));
      labels.set(key, texts);
    }
    return texts;
  };
  const replaced = new Set(snapshot.families.map(({ name }) => name));
  for (const [metric, members] of families) {
    if (replaced.has(metric)) continue;
    const lines = members.map((family) => samplesText(metric, family, labelsOf(family))).join("");
    if (lines === "") continue;
    yield header(metric, format) + lines;
  }
  for (const family of snapshot.families) yield familyText(family, format);
  if (format.end !== "") yield format.end;
}

function familyText(family: MetricFamily, format: Format): string {
  let text = header(family.name, format, family);
  for (const sample of family.samples) {
    const labels = (more: Readonly<Record<string, string>> = {}): string => {
      const all = Object.entries({ ...sample.labels, ...more });
      return labelText(
        "",
        all.map(([name]) => name),
        all.map(([, value]) => value),
      );
    };
    if (!("buckets" in sample)) {
      text += `${family.name}${labels()} ${numberText(sample.value)}\n`;
      continue;
    }
    for (const { le, count } of sample.buckets) text += `${family.name}_bucket${labels({ le: String(le) })} ${count}\n`;
    text += `${family.name}_bucket${labels({ le: "+Inf" })} ${sample.count}\n`;
    text += `${family.name}_sum${labels()} ${numberText(sample.sum)}\n`;
    text += `${family.name}_count${labels()} ${sample.count}\n`;
  }
  return text;
}

function header(
  metric: string,
  { counterSuffix }: Format,
  definition: { readonly type: string; readonly help: string } | undefined = definitions.get(metric),
): string {
  const help = escapeHelp(definition?.help ?? metric, counterSuffix !== "");
  let name = metric;
  let type: string = definition?.type ?? "untyped";
  if (counterSuffix !== "" && type === "counter") {
    if (metric.endsWith(counterSuffix)) name = metric.slice(0, -counterSuffix.length);
    else type = "unknown";
  } else if (counterSuffix !== "" && type === "untyped") type = "unknown";
  // In OpenMetrics a gauge must not end in _total; the few old names that do are given no type.
  if (counterSuffix !== "" && type === "gauge" && metric.endsWith("_total")) type = "unknown";
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function samplesText(metric: string, { table, column }: Family, labels: readonly string[]): string {
  let text = "";
  for (let i = 0; i < table.rows.length; i++) {
    const value = table.rows[i]!.values[column];
    if (value === null || value === undefined) continue;
    text += `${metric}${labels[i]!} ${numberText(value)}\n`;
  }
  return text;
}

function labelText(prefix: string, names: readonly string[], values: readonly string[]): string {
  let text = prefix;
  for (let i = 0; i < names.length; i++) {
    text += `${text === "" ? "" : ","}${names[i]!}="${escapeLabel(values[i] ?? "")}"`;
  }
  return text === "" ? "" : `{${text}}`;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

const special = /[\\"\n]/;

function escapeLabel(value: string): string {
  if (!special.test(value)) return value;
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`);
}

function escapeHelp(help: string, quotes: boolean): string {
  const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", String.raw`\n`);
  return quotes ? escaped.replaceAll('"', String.raw`\"`) : escaped;
}
