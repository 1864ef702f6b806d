import type { HealthCheck, HealthStatus } from "@db/core";
import type { StatusView } from "@db/dashboard";

/** The verdict over everything, from what is already known: asking must never wait for a database. */
export interface AggregateHealth {
  readonly status: HealthStatus;
  readonly checks: readonly HealthCheck[];
}

/** What the server shows. `sourceFromOrchestrator` is one; a team may bring its own. */
export interface StatusSource {
  /** Answers within milliseconds, from the last probes. */
  health(): Promise<AggregateHealth>;
  /** The page's data, from the last collection. */
  view(): Promise<StatusView>;
  /** Every metric, collected at most once per second whoever asks. */
  metricsText(format: "prometheus" | "openmetrics", signal: AbortSignal): Promise<string>;
  /** The same as data; `detailed` adds tables, indexes and statements. */
  metricsJson(detailed: boolean, signal: AbortSignal): Promise<unknown>;
  /** False until the first start has finished. */
  started(): boolean;
}
