import { Buffer } from "node:buffer";
import type { MetricDefinition } from "../metric.ts";
import { metricRegistry } from "../registry.ts";

/** What the two text formats differ in. */
export interface Format {
  readonly counterSuffix: "" | "_total";
  readonly end: string;
}

export const prometheus: Format = { counterSuffix: "", end: "" };
export const openMetrics: Format = { counterSuffix: "_total", end: "# EOF\n" };

interface MetricBytes {
  readonly name: Buffer;
  /** The lines of help and type. */
  readonly head: Buffer;
}

const definitions: ReadonlyMap<string, MetricDefinition> = new Map(metricRegistry.map((each) => [each.name, each]));

/** Of the metrics of the registry: they are the same in every text. */
const knownBytes = new Map<Format, Map<string, MetricBytes>>();

export function metricBytes(metric: string, format: Format): MetricBytes {
  const known = knownBytes.get(format) ?? new Map<string, MetricBytes>();
  knownBytes.set(format, known);
  let bytes = known.get(metric);
  if (!bytes) {
    bytes = { name: Buffer.from(metric), head: Buffer.from(header(metric, format)) };
    if (definitions.has(metric)) known.set(metric, bytes);
  }
  return bytes;
}

const knownTexts = new Map<Format, Map<string, string>>();

/** The lines of help and type, put together once. */
export function metricText(metric: string, format: Format): string {
  const known = knownTexts.get(format) ?? new Map<string, string>();
  knownTexts.set(format, known);
  let text = known.get(metric);
  if (text === undefined) {
    text = header(metric, format);
    if (definitions.has(metric)) known.set(metric, text);
  }
  return text;
}

/** The lines of help and type, by default as the registry has them. */
export function header(
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

function escapeHelp(help: string, quotes: boolean): string {
  const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", String.raw`\n`);
  return quotes ? escaped.replaceAll('"', String.raw`\"`) : escaped;
}
