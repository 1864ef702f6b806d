import type { HistogramSample, MetricFamily } from "../family.ts";
import type { MetricDefinition } from "../metric.ts";
import { metricRegistry } from "../registry.ts";
import type { MetricTable, Snapshot } from "../snapshot.ts";

/** The body of an OTLP/HTTP request with metrics, as JSON has it. */
export interface OtlpMetrics {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string };
      readonly metrics: readonly OtlpMetric[];
    }[];
  }[];
}

export interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}

export interface OtlpMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly gauge?: { readonly dataPoints: readonly OtlpPoint[] };
  readonly sum?: {
    readonly aggregationTemporality: 2;
    readonly isMonotonic: true;
    readonly dataPoints: readonly OtlpPoint[];
  };
  readonly histogram?: { readonly aggregationTemporality: 2; readonly dataPoints: readonly OtlpHistogramPoint[] };
}

export interface OtlpPoint {
  readonly attributes: readonly OtlpAttribute[];
  /** Nanoseconds since the epoch, as text: a number would not hold them. */
  readonly timeUnixNano: string;
  readonly asDouble: number;
}

export interface OtlpHistogramPoint {
  readonly attributes: readonly OtlpAttribute[];
  readonly timeUnixNano: string;
  readonly count: string;
  readonly sum: number;
  readonly explicitBounds: readonly number[];
  /** Of each bucket alone, one more than bounds. */
  readonly bucketCounts: readonly string[];
}

const definitions: ReadonlyMap<string, MetricDefinition> = new Map(metricRegistry.map((each) => [each.name, each]));
/** Cumulative: the numbers count from the start of the server's statistics. */
const cumulative = 2;

/**
 * A snapshot as an OTLP metrics request: one resource for each server, one for the process. Names are those of the
 * Prometheus text; values of blocks that are stale carry the time they were read.
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export function toOtlp(snapshot: Snapshot, attributes: Readonly<Record<string, string>> = {}): OtlpMetrics {
  const resource = (more: Readonly<Record<string, string>>, metrics: readonly OtlpMetric[]) => ({
    resource: {
      attributes: attributesOf({
        "service.name": "postgresql",
        "db.system.name": "postgresql",
        ...attributes,
        ...more,
      }),
    },
    scopeMetrics: [{ scope: { name: "@db/monitor" }, metrics }],
  });
  const replaced = new Set(snapshot.families.map(({ name }) => name));
  const own = snapshot.blocks
    .flatMap((block) => block.tables.flatMap((table) => ofTable(table, nano(block.asOf ?? snapshot.asOf))))
    .filter(({ name }) => !replaced.has(name));
  return {
    resourceMetrics: [
      ...snapshot.servers.map((server) =>
        resource(
          { "service.instance.id": server.name },
          joined(
            server.blocks.flatMap((block) =>
              block.tables.flatMap((table) => ofTable(table, nano(block.asOf ?? snapshot.asOf))),
            ),
          ),
        ),
      ),
      resource({}, joined([...own, ...snapshot.families.map((family) => ofFamily(family, nano(snapshot.asOf)))])),
    ].filter(({ scopeMetrics }) => scopeMetrics[0]!.metrics.length > 0),
  };
}

function ofTable({ labelNames, metrics, rows }: MetricTable, timeUnixNano: string): readonly OtlpMetric[] {
  const attributes = rows.map((row) =>
    attributesOf(Object.fromEntries(labelNames.map((name, i) => [name, row.labels[i] ?? ""]))),
  );
  return metrics.flatMap((name, column) => {
    const dataPoints = rows.flatMap((row, i) => {
      const value = row.values[column];
      return value === null || value === undefined || !Number.isFinite(value)
        ? []
        : [{ attributes: attributes[i]!, timeUnixNano, asDouble: value }];
    });
    return dataPoints.length === 0 ? [] : [metricOf(name, definitions.get(name), dataPoints)];
  });
}

function ofFamily(family: MetricFamily, timeUnixNano: string): OtlpMetric {
  const { name, help } = family;
  if (family.type !== "histogram") {
    const dataPoints = family.samples.map(({ labels, value }) => ({
      attributes: attributesOf(labels),
      timeUnixNano,
      asDouble: value,
    }));
    return metricOf(name, { type: family.type, help }, dataPoints);
  }
  const dataPoints = family.samples.map((sample) => histogramPoint(sample, timeUnixNano));
  return { name, description: help, unit: unitOf(name), histogram: { aggregationTemporality: cumulative, dataPoints } };
}

function metricOf(
  name: string,
  definition: Pick<MetricDefinition, "type" | "help"> | undefined,
  dataPoints: readonly OtlpPoint[],
): OtlpMetric {
  const common = { name, description: definition?.help ?? "", unit: unitOf(name) };
  return definition?.type === "counter"
    ? { ...common, sum: { aggregationTemporality: cumulative, isMonotonic: true, dataPoints } }
    : { ...common, gauge: { dataPoints } };
}

function histogramPoint({ labels, buckets, sum, count }: HistogramSample, timeUnixNano: string): OtlpHistogramPoint {
  const finite = buckets.filter(({ le }) => Number.isFinite(le));
  const counts = [...finite.map((bucket) => bucket.count), count];
  return {
    attributes: attributesOf(labels),
    timeUnixNano,
    count: String(count),
    sum,
    explicitBounds: finite.map(({ le }) => le),
    bucketCounts: counts.map((upTo, i) => String(upTo - (counts[i - 1] ?? 0))),
  };
}

/** A metric that several tables or databases give is one metric with all their points. */
function joined(metrics: readonly OtlpMetric[]): readonly OtlpMetric[] {
  return [...Map.groupBy(metrics, ({ name }) => name).values()].map((same) => {
    const [first] = same;
    if (same.length === 1) return first!;
    const points = same.flatMap(({ gauge, sum }) => gauge?.dataPoints ?? sum?.dataPoints ?? []);
    return metricOf(first!.name, { type: first!.sum ? "counter" : "gauge", help: first!.description }, points);
  });
}

/** Units as UCUM writes them, from the name. */
function unitOf(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return "s";
  if (/_bytes(_total)?$/.test(name)) return "By";
  return "1";
}

const attributesOf = (labels: Readonly<Record<string, string>>): readonly OtlpAttribute[] =>
  Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } }));

const nano = (time: string): string => `${Date.parse(time)}000000`;
