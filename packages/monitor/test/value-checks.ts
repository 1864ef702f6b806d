import type { ValueCheck } from "./value-check.ts";
import { databaseChecks, writingChecks } from "./value-checks-database.ts";
import { relationChecks, statementChecks } from "./value-checks-relations.ts";
import { replicationChecks } from "./value-checks-replication.ts";
import { serverChecks, settingChecks } from "./value-checks-server.ts";

/** Metrics of the server that no second query can tell: they move both ways between two, or nothing causes them here. */
export const unchecked: ReadonlySet<string> = new Set([
  ...["write", "flush", "replay"].map((what) => `pg_stat_replication_${what}_lag_seconds`),
  "pg_replication_last_msg_age_seconds",
  "pg_stat_subscription_last_msg_age_seconds",
  "pg_stat_archiver_last_failed_seconds",
  "pg_settings_fingerprint",
  "pg_stat_user_tables_last_autovacuum",
  "pg_stat_user_tables_last_autoanalyze",
]);

/** The checks for a version. They read the views, and never what the collectors read where there are two ways. */
export function valueChecks(version: number): readonly ValueCheck[] {
  return [
    ...serverChecks(version),
    ...settingChecks(version),
    ...databaseChecks(version),
    ...writingChecks(version),
    ...replicationChecks(version),
    ...relationChecks(version),
    ...statementChecks(version),
  ];
}
