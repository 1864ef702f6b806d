import type { Expression } from "../alerts/expression.ts";
import { toPromql } from "../prometheus/promql.ts";
import { type KeySeries, keySeries } from "../key-series.ts";

const units: Readonly<Record<KeySeries["unit"], string>> = {
  connections: "short",
  sessions: "short",
  "per second": "ops",
  bytes: "bytes",
  "bytes per second": "Bps",
  seconds: "s",
  ratio: "percentunit",
  count: "short",
};

/** A Grafana dashboard over the key series, as the JSON Grafana imports. The data source is a variable of it. */
export function buildGrafanaDashboard(): Readonly<Record<string, unknown>> {
  return {
    uid: "db-monitor-overview",
    title: "PostgreSQL overview",
    tags: ["postgresql"],
    timezone: "browser",
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus", hide: 0 },
        variable("instance", "label_values(pg_up, instance)"),
        variable("server", 'label_values(pg_up{instance=~"$instance"}, server)'),
      ],
    },
    annotations: { list: [] },
    panels: keySeries.map(panel),
  };
}

function variable(name: string, query: string): Readonly<Record<string, unknown>> {
  return {
    name,
    type: "query",
    datasource: { type: "prometheus", uid: "${datasource}" },
    query: { query, refId: name },
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  };
}

function panel(series: KeySeries, i: number): Readonly<Record<string, unknown>> {
  const labels = labelsOf(series.expression);
  return {
    id: i + 1,
    title: series.title,
    type: "timeseries",
    datasource: { type: "prometheus", uid: "${datasource}" },
    gridPos: { h: 8, w: 12, x: (i % 2) * 12, y: Math.floor(i / 2) * 8 },
    fieldConfig: { defaults: { unit: units[series.unit], min: 0 }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: [
      {
        refId: "A",
        expr: restrict(toPromql(series.expression)),
        legendFormat: ["server", ...labels].map((label) => `{{${label}}}`).join(" "),
      },
    ],
  };
}

/** Every selector of the dashboard keeps to the servers chosen in it. */
function restrict(promql: string): string {
  const chosen = 'instance=~"$instance",server=~"$server"';
  // Pool metrics are of this process and have no server.
  if (promql.includes("db_client_")) return promql;
  return promql.replaceAll(
    /\b((?:pg|node)_\w+)(\{([^}]*)\})?/g,
    (_, name: string, __, matchers?: string) => `${name}{${matchers ? `${matchers},` : ""}${chosen}}`,
  );
}

function labelsOf(expression: Expression): readonly string[] {
  if ("by" in expression) return expression.by;
  if (expression.kind === "arithmetic") return labelsOf(expression.left);
  if (expression.kind !== "metric") return [];
  return expression.name.startsWith("pg_database_")
    ? ["datname"]
    : expression.name.startsWith("db_")
      ? ["pool", "state"]
      : [];
}
