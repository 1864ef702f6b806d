import { metricRegistry } from "../registry.ts";

export interface ScrapeConfigOptions {
  /** Where the metrics are served. Default `http://localhost:8787/metrics`. */
  readonly url?: string;
}

export const defaultMetricsUrl = "http://localhost:8787/metrics";

/**
 * The configuration of DataDog's OpenMetrics check, `conf.d/openmetrics.d/conf.yaml`. It names counters as the check
 * does, without `_total`.
 * @see https://docs.datadoghq.com/integrations/openmetrics/
 */
export function renderDatadogConfig({ url = defaultMetricsUrl }: ScrapeConfigOptions = {}): string {
  const names = metricRegistry.map(({ name, type }) =>
    type === "counter" && name.endsWith("_total") ? name.slice(0, -"_total".length) : name,
  );
  return [
    "init_config:",
    "",
    "instances:",
    `  - openmetrics_endpoint: ${JSON.stringify(url)}`,
    "    namespace: postgresql_db",
    "    # About 5,300 series with the default limits; the check takes 2,000 where nothing is said.",
    "    max_returned_metrics: 10000",
    "    histogram_buckets_as_distributions: false",
    "    # headers:",
    '    #   Authorization: "Bearer <token with the scope metrics>"',
    "    metrics:",
    ...[...new Set(names)].map((name) => `      - ${name}`),
    "",
  ].join("\n");
}
