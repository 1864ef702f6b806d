export { type Blackout, isBlackedOut } from "./alerts/blackout.ts";
export type { AlertFinding } from "./findings.ts";
export { createMemorySilences, type Silence, type SilenceRequest, type SilenceStore } from "./alerts/silence.ts";
export { createTableSilences, type TableSilencesOptions } from "./alerts/table-silences.ts";
export type { Alert, AlertEvent, AlertListener } from "./alerts/event.ts";
export { type AlertEngine, type AlertEngineOptions, createAlertEngine } from "./alerts/engine.ts";
export {
  aggregate,
  and,
  arithmetic,
  changes,
  compare,
  type Comparison,
  type Expression,
  highest,
  increase,
  lost,
  type Matchers,
  metric,
  number,
  quantile,
  rate,
  time,
  unless,
} from "./alerts/expression.ts";
export type { Anomaly } from "./anomaly/anomaly.ts";
export type { Cause } from "./anomaly/cause.ts";
export type { AlertLevel, AlertRule, AlertSeverity, RuleOverride } from "./alerts/rule.ts";
export { defaultRules } from "./alerts/rules.ts";
export type { CollectLimits, Detail } from "./collector.ts";
export type { OwnedDatabase } from "./databases.ts";
export {
  CollectTimeoutError,
  InvalidMonitorOptionsError,
  InvalidSilenceError,
  OtlpPushError,
  UnknownInspectionError,
  UnsupportedServerError,
} from "./errors.ts";
export type {
  BlockingFact,
  CatalogFact,
  Facts,
  Identity,
  RelationFact,
  SequenceFact,
  SessionFact,
  SettingChange,
  SettingFact,
  StatementFact,
  StatementsFact,
  VacuumFact,
  XminHolder,
} from "./facts.ts";
export { renderDatadogConfig, type ScrapeConfigOptions } from "./datadog/config.ts";
export type { HistogramSample, MetricFamily } from "./family.ts";
export { recommend } from "./findings.ts";
export type { Point } from "./forecast/buckets.ts";
export { type CapacityForecast, forecastCapacity } from "./forecast/capacity.ts";
export { forecast, type Forecast, type ForecastOptions } from "./forecast/forecast.ts";
export { buildGrafanaDashboard, buildGrafanaDashboards } from "./grafana/dashboard.ts";
export type { HistoryStore, SeriesHour } from "./history/history.ts";
export { createTableHistory, type TableHistoryOptions } from "./history/table-history.ts";
export { createLocalHost, type HostFilesystem, type HostStats, type HostStatsSource } from "./host.ts";
export {
  findInspection,
  findStatements,
  inspect,
  type InspectCell,
  inspections,
  type InspectOptions,
  type InspectReport,
} from "./inspect/inspect.ts";
export type { CellKind, InspectColumn, Inspection } from "./inspect/inspection.ts";
export { explainStatement, type StatementPlan, type StatementPlanNode } from "./inspect/plan.ts";
export { type KeySeries, keySeries } from "./key-series.ts";
export { hasMetric, type MetricDefinition, type MetricType, type ServerScope, type Tier } from "./metric.ts";
export { type CollectOptions, createMonitor, type Monitor, type WaitQueryOptions } from "./monitor.ts";
export { renderNewRelicConfig } from "./newrelic/config.ts";
export { createOtlpExporter, type OtlpExporter, type OtlpExporterOptions } from "./otlp/exporter.ts";
export { type OtlpMetrics, toOtlp } from "./otlp/payload.ts";
export { monitorDefaults, type MonitorOptions, type MonitorTarget } from "./options.ts";
export type { PoolServerStats, PoolStats, PoolStatsSource } from "./pool-stats.ts";
export { createProcessMetrics, type ProcessMetrics } from "./process-metrics.ts";
export { renderPrometheusRules } from "./prometheus/rules.ts";
export {
  openMetricsContentType,
  prometheusContentType,
  renderOpenMetrics,
  renderPrometheus,
  type RenderOptions,
  type TextSink,
  writeOpenMetrics,
  writePrometheus,
  type WriteOptions,
} from "./prometheus/text.ts";
export { renderMetricsDoc } from "./registry-doc.ts";
export { redactSql } from "./redact.ts";
export { metricRegistry, metricsFor } from "./registry.ts";
export { renderReportHtml } from "./report/html.ts";
export {
  buildReport,
  type MonitorReport,
  type ReportDatabase,
  type ReportInput,
  type ReportServer,
  type ReportTable,
} from "./report/report.ts";
export { renderReportText } from "./report/text.ts";
export type { Series, SeriesQuery } from "./series.ts";
export {
  type Block,
  type MetricRow,
  type MetricTable,
  type Sample,
  samplesOf,
  type ServerSnapshot,
  type Snapshot,
  valueOf,
} from "./snapshot.ts";
export {
  type BlockingNode,
  blockingTree,
  connections,
  type ConnectionsView,
  type ServerConnections,
} from "./views/connections.ts";
export {
  type Archiver,
  replication,
  type ReplicationServer,
  type ReplicationSlot,
  type ReplicationStandby,
  type ReplicationView,
} from "./views/replication.ts";
export type { WaitLoad, WaitQuery, WaitSpan } from "./waits/waits.ts";
export { topQueries, type TopQueriesOptions, type TopQuery } from "./views/top-queries.ts";
