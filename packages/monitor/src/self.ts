import { counter, defineMetrics, gauge } from "./collector.ts";
import type { MetricDefinition } from "./metric.ts";
import type { Block } from "./snapshot.ts";

const name = "self";

const scrape = [
  gauge("pg_up", "", "1 when the server answered the last collection"),
  counter("pg_exporter_scrapes_total", "", "Collections begun"),
  gauge("pg_exporter_last_scrape_duration_seconds", "", "Time the last collection took"),
  gauge("pg_exporter_last_scrape_error", "", "1 when any collector failed in its last attempt"),
  gauge("pg_monitor_expected_standbys", "", "Standbys this monitor was told of; on the primary"),
] as const;

const perCollector = [
  gauge("pg_scrape_collector_duration_seconds", "", "Time the collector's last attempt took"),
  gauge("pg_scrape_collector_success", "", "1 when the collector's last attempt succeeded"),
  gauge("pg_scrape_collector_age_seconds", "", "Age of the collector's values"),
  gauge("pg_scrape_collector_interval_seconds", "", "How often the collector is run, longer when it is dear"),
] as const;

const scrapeMetrics = scrape.map((metric) => metric.name);
const collectorMetrics = perCollector.map((metric) => metric.name);
const collectorLabels = ["collector"] as const;

/** What the monitor says about itself, per server. */
export const selfMetrics: readonly MetricDefinition[] = [
  ...defineMetrics(scrape, { name, tier: "T0" }, []),
  ...defineMetrics(perCollector, { name, tier: "T0" }, collectorLabels),
];

interface SelfInput {
  readonly asOf: string;
  readonly up: boolean;
  readonly scrapes: number;
  readonly durationMs: number;
  readonly expectedStandbys: number;
  readonly blocks: readonly Block[];
}

/** The monitor's own numbers as a block. */
export function selfBlock(input: SelfInput): Block {
  const failed = !input.up || input.blocks.some((block) => !block.success);
  return {
    collector: name,
    tier: "T0",
    asOf: input.asOf,
    ageMs: 0,
    everyMs: 0,
    durationMs: 0,
    success: true,
    tables: [
      {
        labelNames: [],
        metrics: scrapeMetrics,
        rows: [
          {
            labels: [],
            values: [input.up ? 1 : 0, input.scrapes, input.durationMs / 1000, failed ? 1 : 0, input.expectedStandbys],
          },
        ],
      },
      {
        labelNames: collectorLabels,
        metrics: collectorMetrics,
        rows: input.blocks.map((block) => ({
          labels: [block.collector],
          values: [
            block.durationMs / 1000,
            block.success ? 1 : 0,
            block.ageMs === null ? null : block.ageMs / 1000,
            block.everyMs / 1000,
          ],
        })),
      },
    ],
  };
}
