import type { Expression } from "../alerts/expression.ts";
import { detailDashboards } from "./details.ts";
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
  return dashboard("db-monitor-overview", "PostgreSQL overview", keySeries.map(panelOf));
}

/** All dashboards: the overview, queries, tables and vacuum, replication with WAL and I/O. */
export function buildGrafanaDashboards(): readonly Readonly<Record<string, unknown>>[] {
  return [
    buildGrafanaDashboard(),
    ...detailDashboards.map(({ uid, title, panels }) =>
      dashboard(
        uid,
        title,
        panels.map(({ title: of, unit, expr, legend }, i) => panel(i, { title: of, unit, expr, legend })),
      ),
    ),
  ];
}

function dashboard(uid: string, title: string, panels: readonly object[]): Readonly<Record<string, unknown>> {
  return {
    uid,
    title,
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
    links: [{ type: "dashboards", tags: ["postgresql"], asDropdown: true, title: "PostgreSQL", keepTime: true }],
    panels,
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

function panelOf(series: KeySeries, i: number): Readonly<Record<string, unknown>> {
  return panel(i, {
    title: series.title,
    unit: units[series.unit],
    expr: toPromql(series.expression),
    legend: ["server", ...labelsOf(series.expression)].map((label) => `{{${label}}}`).join(" "),
  });
}

function panel(
  i: number,
  of: { readonly title: string; readonly unit: string; readonly expr: string; readonly legend: string },
): Readonly<Record<string, unknown>> {
  return {
    id: i + 1,
    title: of.title,
    type: "timeseries",
    datasource: { type: "prometheus", uid: "${datasource}" },
    gridPos: { h: 8, w: 12, x: (i % 2) * 12, y: Math.floor(i / 2) * 8 },
    fieldConfig: { defaults: { unit: of.unit, min: 0 }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: [{ refId: "A", expr: restrict(of.expr), legendFormat: of.legend }],
  };
}

/** Every selector of the dashboard keeps to the servers chosen in it. */
function restrict(promql: string): string {
  const chosen = 'instance=~"$instance",server=~"$server"';
  // Pool metrics are of this process and have no server.
  if (promql.includes("db_client_")) return promql;
  // A minute may hold a single scrape, of which there is no rate; Grafana knows how long it must be.
  return promql
    .replaceAll("[1m]", "[$__rate_interval]")
    .replaceAll(
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
