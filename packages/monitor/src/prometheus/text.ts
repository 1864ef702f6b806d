import { Buffer } from "node:buffer";
import { metricRegistry } from "../registry.ts";
import type { MetricDefinition } from "../metric.ts";
import type { MetricFamily } from "../family.ts";
import type { MetricTable, Snapshot } from "../snapshot.ts";
import { ByteBuffer, numberText, type RowTexts, sampleBytes, toRowTexts } from "./bytes.ts";

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

/** Where text goes: a response, a file, a `zlib` stream. */
export interface TextSink {
  write(bytes: Uint8Array, done: (error?: Error | null) => void): unknown;
}

const prometheus: Format = { counterSuffix: "", end: "" };
const openMetrics: Format = { counterSuffix: "_total", end: "# EOF\n" };

/** A snapshot in Prometheus' text format 0.0.4. */
export function renderPrometheus(snapshot: Snapshot, options: RenderOptions = {}): string {
  return textOf(render(snapshot, options, prometheus));
}

/**
 * Writes the same text through one buffer of 64 kB: a large one is never in memory whole. The sink is not ended.
 * @throws what the sink gives to `done`
 */
export function writePrometheus(snapshot: Snapshot, sink: TextSink, options: RenderOptions = {}): Promise<void> {
  return writeAll(render(snapshot, options, prometheus), sink);
}

/**
 * A snapshot in OpenMetrics 1.0. There the family of a counter is its name without `_total`; a counter that older
 * dashboards know without `_total` is given as `unknown`, so that its series keep their names.
 */
export function renderOpenMetrics(snapshot: Snapshot, options: RenderOptions = {}): string {
  return textOf(render(snapshot, options, openMetrics));
}

/** Writes the same text through one buffer of 64 kB. @throws what the sink gives to `done` */
export function writeOpenMetrics(snapshot: Snapshot, sink: TextSink, options: RenderOptions = {}): Promise<void> {
  return writeAll(render(snapshot, options, openMetrics), sink);
}

/** A part ends with a line, so none cuts a character. */
function textOf(parts: IteratorObject<Uint8Array>): string {
  return parts.map((part) => decoder.decode(part)).reduce((text, part) => text + part, "");
}

const decoder = new TextDecoder();

/** The next part takes the place of the one before, which therefore must be gone. */
async function writeAll(parts: IteratorObject<Uint8Array>, sink: TextSink): Promise<void> {
  for (const part of parts) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    sink.write(part, (error) => (error ? reject(error) : resolve()));
    await promise;
  }
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

/**
 * Labels are the same for every metric of a row, and for as long as a table is shown, so they are written once and used
 * again. By server.
 */
const rowTexts = new WeakMap<MetricTable, Map<string, RowTexts>>();

/** Each part is overwritten by the next. */
function* render(snapshot: Snapshot, options: RenderOptions, format: Format): Generator<Uint8Array, void, undefined> {
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
  const labelsOf = ({ prefix, table }: Family): RowTexts => {
    const known = rowTexts.get(table) ?? new Map<string, RowTexts>();
    rowTexts.set(table, known);
    let texts = known.get(prefix);
    if (!texts) {
      texts = toRowTexts(table.rows.map((row) => labelText(prefix, table.labelNames, row.labels)));
      known.set(prefix, texts);
    }
    return texts;
  };
  const out = new ByteBuffer();
  const replaced = new Set(snapshot.families.map(({ name }) => name));
  for (const [metric, members] of families) {
    if (replaced.has(metric) || !members.some(hasValues)) continue;
    const { name, head } = metricBytes(metric, format);
    out.bytes(head);
    for (const family of members) {
      const { table, column } = family;
      const texts = labelsOf(family);
      for (let row = 0; row < table.rows.length; row++) {
        const value = table.rows[row]!.values[column];
        if (value === null || value === undefined) continue;
        if (out.isFullFor(sampleBytes(name, texts, row))) yield out.take();
        out.sample(name, texts, row, value);
      }
    }
  }
  for (const family of snapshot.families) {
    out.text(familyText(family, format));
    yield out.take();
  }
  out.text(format.end);
  yield out.take();
}

interface MetricBytes {
  readonly name: Buffer;
  /** The lines of help and type. */
  readonly head: Buffer;
}

/** Of the metrics of the registry: they are the same in every text. */
const knownBytes = new Map<Format, Map<string, MetricBytes>>();

function metricBytes(metric: string, format: Format): MetricBytes {
  const known = knownBytes.get(format) ?? new Map<string, MetricBytes>();
  knownBytes.set(format, known);
  let bytes = known.get(metric);
  if (!bytes) {
    bytes = { name: Buffer.from(metric), head: Buffer.from(header(metric, format)) };
    if (definitions.has(metric)) known.set(metric, bytes);
  }
  return bytes;
}

function hasValues({ table, column }: Family): boolean {
  return table.rows.some(({ values }) => values[column] !== null && values[column] !== undefined);
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

function labelText(prefix: string, names: readonly string[], values: readonly string[]): string {
  let text = prefix;
  for (let i = 0; i < names.length; i++) {
    text += `${text === "" ? "" : ","}${names[i]!}="${escapeLabel(values[i] ?? "")}"`;
  }
  return text === "" ? "" : `{${text}}`;
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
