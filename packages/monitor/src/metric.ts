/** A counter only grows until it is reset; a gauge goes both ways; a histogram counts by size. */
export type MetricType = "counter" | "gauge" | "histogram";

/**
 * How often a metric is read, by what reading it costs the server: `T0` on every collection, `T1` about once a
 * minute, `T2` about every ten minutes. What was not read this time is served with its age.
 */
export type Tier = "T0" | "T1" | "T2";

/** Which servers of a topology have the metric. */
export type ServerScope = "any" | "primary" | "standby";

/** One metric, as data: collectors, rules, dashboards and documentation are all made from these. */
export interface MetricDefinition {
  /** Prometheus name; where postgres_exporter has the same metric, the same name. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** Label names, without the `server` label that every server metric carries. */
  readonly labels: readonly string[];
  readonly tier: Tier;
  /** The collector that reads it. */
  readonly collector: string;
  /** First major version that has it. */
  readonly since: number;
  /** Last major version that has it; absent while it lives. */
  readonly until?: number;
  readonly scope: ServerScope;
  /** The name this one stands in for, so that older dashboards and rules keep working. */
  readonly aliasOf?: string;
  /** Only read where the monitor was made with `detail: "full"`. */
  readonly detail?: "full";
}

/** True when a server of that major version and role gives the metric. */
export function hasMetric(metric: MetricDefinition, version: number, role: "primary" | "standby"): boolean {
  return (
    metric.since <= version &&
    (metric.until === undefined || version <= metric.until) &&
    (metric.scope === "any" || metric.scope === role)
  );
}
