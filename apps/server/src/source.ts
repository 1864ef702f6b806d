import type { Writable } from "node:stream";
import type { HealthCheck, HealthStatus } from "@db/core";
import type { HeadView, PageName, PageView, RangeName } from "@db/dashboard";
import type { AdminAction } from "./admin/action.ts";

/** The verdict over everything, from what is already known: asking must never wait for a database. */
export interface AggregateHealth {
  readonly status: HealthStatus;
  readonly checks: readonly HealthCheck[];
}

/** Which page is wanted, and by whom. */
export interface PageRequest {
  readonly page: PageName;
  /** A statement's id, on the page of queries. */
  readonly item?: string;
  readonly range: RangeName;
  readonly signedInAs: HeadView["signedInAs"];
  /** True when an action is turned on and whoever asks may ask for it. */
  readonly may: (action: string) => boolean;
}

/** Lists that a program can page through. */
export const listNames = [
  "queries",
  "locks",
  "blocking",
  "sessions",
  "tables",
  "indexes",
  "replication",
  "backups",
  "migrations",
  "alerts",
] as const;
export type ListName = (typeof listNames)[number];

/** Rows of a list, and how old they are. */
export interface ListAnswer {
  /** ISO 8601. */
  readonly asOf: string;
  readonly rows: readonly object[];
  /** Why there are none, where that is not plain. */
  readonly note: string | null;
}

export interface SeriesRequest {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly stepMs: number;
}

/** What the server shows. `sourceFromOrchestrator` is one; a team may bring its own. */
export interface StatusSource {
  /** Answers within milliseconds, from the last probes. */
  health(): Promise<AggregateHealth>;
  /** A page's data, from the last collection. */
  page(request: PageRequest): Promise<PageView>;
  list(name: ListName): Promise<ListAnswer>;
  /** The plan of a recorded statement; `undefined` when there is no such statement. */
  plan(queryId: string): Promise<object | undefined>;
  /** Names of the series there are. */
  readonly seriesNames: readonly string[];
  series(request: SeriesRequest): object;
  /**
   * Every metric, collected at most once per second whoever asks; `collectors` leaves out the others. Resolves once
   * they are collected; what it gives writes them piece by piece, each over the one before, and does not end the sink.
   */
  metricsText(
    format: "prometheus" | "openmetrics",
    signal: AbortSignal,
    collectors?: readonly string[],
  ): Promise<(sink: Writable) => Promise<void>>;
  /** The same as data; `detailed` adds tables, indexes and statements. */
  metricsJson(detailed: boolean, signal: AbortSignal): Promise<unknown>;
  /** False until the first start has finished. */
  started(): boolean;
  /** What it can be asked to do. Default nothing. */
  readonly actions?: readonly AdminAction[];
  /** Ends what it does in the background. */
  close?(): void;
}
