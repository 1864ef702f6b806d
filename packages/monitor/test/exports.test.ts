import {
  buildGrafanaDashboards,
  metricRegistry,
  renderDatadogConfig,
  renderMetricsDoc,
  renderNewRelicConfig,
  renderPrometheusRules,
} from "@db/monitor";
import { describe, expect, test } from "vitest";

const dashboards = buildGrafanaDashboards();
const names = new Set(metricRegistry.map(({ name }) => name));

// npm run -s vitest -- run packages/monitor/test/exports.test.ts --update writes them anew.
describe("the files in the package are what the registry gives today", () => {
  test.each<[string, string]>([
    ["prometheus-rules.yml", renderPrometheusRules()],
    ["datadog-openmetrics.yaml", renderDatadogConfig()],
    ["newrelic-prometheus.yml", renderNewRelicConfig()],
    ["metrics.md", renderMetricsDoc()],
    ...dashboards.map((each): [string, string] => [
      `grafana/${String(each["uid"])}.json`,
      `${JSON.stringify(each, null, 2)}\n`,
    ]),
  ])("%s", async (name, text) => {
    await expect(text).toMatchFileSnapshot(`../exports/${name}`);
  });
});

interface Panel {
  readonly title: string;
  readonly datasource: unknown;
  readonly targets: readonly { readonly expr: string }[];
}

describe.each(dashboards.map((each) => [String(each["title"]), each] as const))("dashboard %s", (_title, dashboard) => {
  const panels = dashboard["panels"] as readonly Panel[];

  test("takes its data source from a variable, everywhere", () => {
    expect(JSON.stringify(dashboard).match(/"uid":"(?!\$\{datasource\}|db-monitor)[^"]*"/g)).toBeNull();
    for (const panel of panels) expect(panel.datasource).toEqual({ type: "prometheus", uid: "${datasource}" });
  });

  test("shows only metrics there are", () => {
    const named = panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/\b(?:pg|node|db)_\w+/g) ?? []),
    );
    expect(named.length).toBeGreaterThanOrEqual(panels.length);
    expect(named.map((name) => name.replace(/_bucket$/, "")).filter((name) => !names.has(name))).toEqual([]);
  });

  test("keeps every metric of a server to the servers chosen", () => {
    for (const { targets, title } of panels) {
      for (const { expr } of targets) {
        const selectors = expr.match(/\bpg_\w+(\{[^}]*\})?/g) ?? [];
        for (const selector of selectors) expect(selector, title).toContain('server=~"$server"');
      }
    }
  });
});

test("DataDog is told of counters as its check names them, and of each metric once", () => {
  const listed = [...renderDatadogConfig({ url: "http://x/metrics" }).matchAll(/^ {6}- (\w+)$/gm)].map(
    ([, name]) => name,
  );
  expect(new Set(listed).size).toBe(listed.length);
  expect(listed).toContain("pg_stat_statements_calls");
  expect(listed).toContain("pg_stat_database_xact_commit");
  expect(listed).not.toContain("pg_stat_statements_calls_total");
});
