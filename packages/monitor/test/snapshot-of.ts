import type { Facts, MetricTable, ServerSnapshot, Snapshot } from "@db/monitor";

type Values = number | readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** A snapshot of servers with the metrics given; a bare number is one series without labels. */
export function snapshotOf(
  servers: Readonly<Record<string, Readonly<Record<string, Values>>>>,
  facts: Facts = {},
): Snapshot {
  return {
    asOf: "2026-01-01T00:00:00.000Z",
    servers: Object.entries(servers).map(([name, metrics]) => serverOf(name, metrics, facts)),
    blocks: [],
    families: [],
  };
}

function serverOf(name: string, metrics: Readonly<Record<string, Values>>, facts: Facts): ServerSnapshot {
  const tables = Object.entries(metrics).map(([metric, values]): MetricTable => {
    const series = typeof values === "number" ? [[{}, values] as const] : values;
    return {
      labelNames: Object.keys(series[0]?.[0] ?? {}),
      metrics: [metric],
      rows: series.map(([labels, value]) => ({ labels: Object.values(labels), values: [value] })),
    };
  });
  const block = {
    collector: "test",
    tier: "T0",
    asOf: null,
    ageMs: 0,
    everyMs: 15_000,
    durationMs: 1,
    success: true,
    tables,
  } as const;
  return { name, up: true, role: "primary", versionNum: 180_000, durationMs: 1, blocks: [block], facts };
}
