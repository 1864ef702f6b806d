import { defaultRules } from "./alerts/rules.ts";
import { toPromql } from "./prometheus/promql.ts";
import type { MetricDefinition } from "./metric.ts";
import { metricRegistry } from "./registry.ts";

/** Every metric and every rule as Markdown, from the registry itself. */
export function renderMetricsDoc(): string {
  const byCollector = Map.groupBy(metricRegistry, ({ collector }) => collector);
  return [
    "# Metrics and rules",
    "",
    "Generated from the registry. T0 is read on every collection, T1 about once a minute, T2 about every ten minutes.",
    "Every metric of a server carries a label `server`.",
    "",
    "## Metrics",
    ...[...byCollector].flatMap(([collector, metrics]) => ["", `### ${collector}`, "", ...tableOf(metrics)]),
    "",
    "## Rules",
    "",
    "| rule | severity | fires | for | hint |",
    "|---|---|---|---|---|",
    ...defaultRules.flatMap((rule) =>
      rule.levels.map(
        ({ severity, threshold, forMs = 0 }) =>
          `| ${rule.name} | ${severity} | \`${cell(toPromql(rule.expression))}\` ${rule.fires} ${threshold} | ` +
          `${forMs === 0 ? "at once" : `${forMs / 1000} s`} | ${cell(rule.hint)} |`,
      ),
    ),
    "",
  ].join("\n");
}

function tableOf(metrics: readonly MetricDefinition[]): readonly string[] {
  return [
    "| metric | type | labels | versions | tier | what |",
    "|---|---|---|---|---|---|",
    ...metrics.map(
      (metric) =>
        `| \`${metric.name}\` | ${metric.type} | ${metric.labels.join(", ") || "–"} | ${versionsOf(metric)} | ` +
        `${metric.tier} | ${cell(metric.help)}${metric.aliasOf === undefined ? "" : `; same as \`${metric.aliasOf}\``} |`,
    ),
  ];
}

function versionsOf({ since, until, scope, detail }: MetricDefinition): string {
  const versions = until === undefined ? (since <= 12 ? "all" : `${since} on`) : `${since} to ${until}`;
  return [
    versions,
    ...(scope === "any" ? [] : [`${scope} only`]),
    ...(detail === undefined ? [] : ["full detail"]),
  ].join(", ");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
