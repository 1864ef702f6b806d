import {
  defaultRules,
  type Expression,
  keySeries,
  metricRegistry,
  metricsFor,
  renderPrometheusRules,
} from "@db/monitor";
import { buildGrafanaDashboard } from "@db/monitor";
import { describe, expect, test } from "vitest";
import { metricsOf } from "../src/alerts/expression.ts";

const names = new Set(metricRegistry.map(({ name }) => name));
const used = (expressions: readonly { readonly expression: Expression }[]): readonly string[] =>
  expressions.flatMap(({ expression }) => [...metricsOf(expression)]);

describe("the metric registry", () => {
  test("names every metric once, as Prometheus allows", () => {
    expect(names.size).toBe(metricRegistry.length);
    for (const { name, help, labels } of metricRegistry) {
      expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
      expect(help, name).not.toBe("");
      for (const label of labels) expect(label, name).toMatch(/^[a-z_]+$/);
    }
  });

  test("has every metric that rules, charts and aliases name", () => {
    const wanted = [
      ...used(defaultRules),
      ...used(keySeries),
      ...metricRegistry.flatMap(({ aliasOf }) => aliasOf ?? []),
    ];
    expect(wanted.filter((name) => !names.has(name))).toEqual([]);
  });

  test("has every metric that the exported rules and panels name", () => {
    const exported = renderPrometheusRules() + JSON.stringify(buildGrafanaDashboard(), null, 1);
    const expressions = [...exported.matchAll(/^\s*"?expr"?: (".*?[^\\]"),?$/gm)].map(([, text]) =>
      JSON.parse(text ?? ""),
    );
    expect(expressions.length).toBeGreaterThan(60);
    const named = expressions
      .flatMap((text: string) => text.match(/\b(?:pg|node|db)_\w+/g) ?? [])
      .map((name: string) => name.replace(/_bucket$/, ""));
    expect([...new Set(named)].filter((name) => !names.has(name))).toEqual([]);
  });

  test("knows what each version and role has", () => {
    const of = (version: number, role: "primary" | "standby"): readonly string[] =>
      metricsFor(version, role).map(({ name }) => name);
    expect(of(13, "primary")).not.toContain("pg_stat_wal_bytes_total");
    expect(of(14, "primary")).toContain("pg_stat_wal_bytes_total");
    expect(of(17, "primary")).not.toContain("pg_stat_bgwriter_buffers_backend_total");
    expect(of(17, "primary")).toContain("pg_stat_bgwriter_checkpoints_req_total");
    expect(of(12, "primary")).toContain("pg_settings_wal_keep_segments");
    expect(of(13, "primary")).not.toContain("pg_settings_wal_keep_segments");
    expect(of(18, "primary")).not.toContain("pg_wal_receiver_up");
    expect(of(18, "standby")).toContain("pg_wal_receiver_up");
  });
});

test("the exported rules hold one alert for every level of every rule", () => {
  const alerts = renderPrometheusRules().match(/- alert: /g) ?? [];
  expect(alerts).toHaveLength(defaultRules.flatMap(({ levels }) => levels).length);
});
