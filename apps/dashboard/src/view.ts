import type { Finding, HealthStatus } from "@db/core";
import type { ActionLink, CellKind } from "./page-view.ts";

/** Everything the page is drawn from: plain JSON, made by the server, sent again with every update. */
export interface StatusView {
  /** When it was collected, ISO 8601. */
  readonly asOf: string;
  /** Age of the oldest block in it, so that a stale page says so. */
  readonly ageSeconds: number;
  readonly status: HealthStatus;
  /** Application or database name. */
  readonly title: string;
  readonly environment: string;
  readonly readOnly: boolean;
  readonly server: ServerFacts | null;
  readonly findings: readonly StatusFinding[];
  readonly connections: ConnectionsView | null;
  readonly activity: ActivityView | null;
  readonly topQueries: TopQueriesView | null;
  readonly replication: ReplicationView | null;
  readonly backups: BackupsView | null;
  readonly migrations: MigrationsView | null;
  readonly quality: QualityView | null;
  readonly indexes: IndexesView | null;
  /** What the last run of the main job did, in order; empty when there was none. */
  readonly steps: readonly StepView[];
}

/** A finding, and what may be done about its being told. */
export interface StatusFinding extends Finding {
  readonly actions?: readonly ActionLink[];
}

export interface ServerFacts {
  /** "18.4". */
  readonly version: string;
  readonly role: "primary" | "standby";
  readonly database: string;
  readonly startedAt: string | null;
  readonly sizeBytes: number | null;
}

/** Points of one line, oldest first; `null` where nothing was known. */
export interface Series {
  readonly label: string;
  readonly points: readonly (number | null)[];
}

/** Lines over the same clock. */
export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly from: string;
  readonly to: string;
  readonly series: readonly Series[];
  /** A limit worth seeing, drawn as a line. */
  readonly limit?: { readonly label: string; readonly value: number };
  /** How values read. Default `count`. */
  readonly kind?: CellKind;
  /** Lines on top of each other: their sum means something. */
  readonly stacked?: boolean;
  /** What was deployed meanwhile, ISO 8601, oldest first. */
  readonly markers?: readonly { readonly at: string; readonly label: string }[];
}

export interface ConnectionsView {
  /** The client's side: this process's pool. */
  readonly pool: {
    readonly used: number;
    readonly idle: number;
    readonly waiting: number;
    readonly max: number;
  } | null;
  /** The server's side, by state, largest first. */
  readonly byState: readonly { readonly state: string; readonly count: number }[];
  readonly total: number;
  /** What the server lets in for ordinary roles. */
  readonly max: number;
  readonly chart: Chart | null;
}

export interface ActivityView {
  readonly transactionsPerSecond: number | null;
  readonly cacheHitRatio: number | null;
  readonly chart: Chart | null;
}

export interface TopQueriesView {
  /** Why there are none, in one sentence, when there are none. */
  readonly note: string | null;
  readonly rows: readonly TopQuery[];
}

export interface TopQuery {
  readonly id: string;
  /** Normalised text: no literals. */
  readonly text: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly meanMs: number;
  readonly rows: number;
  /** Part of all statement time, 0 to 1. */
  readonly share: number;
}

export interface ReplicationView {
  readonly standbys: readonly {
    readonly name: string;
    readonly state: string;
    readonly lagMs: number | null;
    readonly lagBytes: number | null;
    readonly sync: string;
  }[];
  readonly slots: readonly { readonly name: string; readonly active: boolean; readonly retainedBytes: number | null }[];
}

export interface BackupsView {
  readonly repository: string;
  readonly rows: readonly {
    readonly label: string;
    readonly type: string;
    readonly stoppedAt: string;
    readonly sizeBytes: number;
    readonly storedBytes: number;
    readonly encrypted: boolean;
    readonly status: "ok" | "suspect";
  }[];
  /** The last proof that a backup restores. */
  readonly lastDrill: {
    readonly at: string;
    readonly ok: boolean;
    readonly tables: number;
    readonly durationMs: number;
  } | null;
}

export interface MigrationsView {
  readonly applied: number;
  readonly pending: number;
  readonly latest: string | null;
  readonly latestAt: string | null;
}

export interface QualityView {
  /** Broken rules and gaps of the schema, worst first. */
  readonly findings: readonly Finding[];
  readonly score: number;
  readonly rules: number;
  readonly failed: number;
  readonly at: string;
}

export interface IndexesView {
  /** Advice that is no recommendation to create: unused, duplicate, invalid, foreign keys without one. */
  readonly findings: readonly Finding[];
  readonly recommendations: readonly {
    readonly name: string;
    readonly table: string;
    readonly why: string;
    readonly command: string;
  }[];
  readonly unused: number;
  readonly duplicates: number;
  /** The last index applied, with what it did to its query. */
  readonly lastApplied: {
    readonly name: string;
    readonly beforeMs: number;
    readonly afterMs: number;
    readonly query: string;
  } | null;
}

export interface StepView {
  readonly name: string;
  readonly title: string;
  readonly status: "done" | "skipped" | "failed";
  readonly detail: string;
  readonly durationMs: number;
}
