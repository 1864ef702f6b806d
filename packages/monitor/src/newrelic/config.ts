import { defaultMetricsUrl, type ScrapeConfigOptions } from "../datadog/config.ts";
import { metricRegistry } from "../registry.ts";

/**
 * The configuration of New Relic's Prometheus integration under its infrastructure agent,
 * `/etc/newrelic-infra/integrations.d/nri-prometheus-config.yml`. Names that only repeat others for older dashboards
 * are left out: each series is paid for.
 * @see https://docs.newrelic.com/docs/infrastructure/prometheus-integrations/install-configure-openmetrics/configure-prometheus-openmetrics-integrations/
 */
export function renderNewRelicConfig({ url = defaultMetricsUrl }: ScrapeConfigOptions = {}): string {
  const repeated = metricRegistry.flatMap(({ name, aliasOf }) => (aliasOf === undefined ? [] : name));
  return [
    "integrations:",
    "  - name: nri-prometheus",
    "    config:",
    "      standalone: false",
    "      emitters: infra-sdk",
    "      cluster_name: postgresql",
    "      scrape_duration: 30s",
    "      scrape_timeout: 10s",
    "      targets:",
    "        - description: PostgreSQL, as @db/monitor sees it",
    `          urls: [${JSON.stringify(url)}]`,
    "      transformations:",
    "        - description: Names that repeat others",
    "          ignore_metrics:",
    "            - prefixes:",
    ...[...new Set(repeated)].map((name) => `                - ${name}`),
    "",
  ].join("\n");
}
