/** One step of an application, as it happens. */
export type MigrationEvent =
  | { readonly type: "lock-waiting"; readonly waitedMs: number }
  | { readonly type: "lock-acquired"; readonly waitedMs: number }
  | { readonly type: "migration-started"; readonly migration: string; readonly attempt: number }
  | {
      readonly type: "statement-finished";
      readonly migration: string;
      readonly statement: number;
      readonly durationMs: number;
      readonly rows: number | null;
    }
  | {
      /** Seen from a second session, about four times a second; only where the database has one. */
      readonly type: "statement-progress";
      readonly file: string;
      readonly statement: number;
      /** As the server calls it: `building index: scanning table`. */
      readonly phase: string;
      readonly unit: "blocks" | "rows";
      readonly done: number | null;
      readonly total: number | null;
    }
  | {
      /** The statement waits for a lock that these server processes hold. */
      readonly type: "statement-waiting";
      readonly file: string;
      readonly statement: number;
      readonly waitedMs: number;
      readonly blockedBy: readonly number[];
    }
  | { readonly type: "lock-retry"; readonly migration: string; readonly attempt: number; readonly pauseMs: number }
  | {
      readonly type: "backfill-batch";
      readonly migration: string;
      readonly table: string;
      /** So far, and by the planner's estimate. */
      readonly rows: number;
      readonly estimatedRows: number | null;
      readonly batchRows: number;
      readonly batchMs: number;
    }
  | {
      /** About twice a second while a standby is further behind than `max_lag`. */
      readonly type: "backfill-waiting";
      readonly migration: string;
      /** The one furthest behind, by its application_name. */
      readonly standby: string;
      readonly replicaLagMs: number;
    }
  | { readonly type: "migration-finished"; readonly migration: string; readonly durationMs: number }
  | { readonly type: "migration-failed"; readonly migration: string; readonly message: string };
