import { aggregate, and, arithmetic, changes, compare, increase, metric, number, time } from "../expression.ts";
import type { AlertRule } from "../rule.ts";

const minutes = (n: number): number => n * 60_000;
const onlyPrimary = compare(metric("pg_replication_is_replica"), "==", 0);

/** Whether the servers and the monitor itself work. */
export const availabilityRules: readonly AlertRule[] = [
  {
    name: "PgDown",
    finding: "PG-DOWN",
    title: "{server} does not answer",
    expression: metric("pg_up"),
    fires: "below",
    levels: [{ severity: "page", threshold: 1, forMs: minutes(1) }],
    hint: "The server refused, was unreachable or gave no answer in time; look at its process and its log.",
    command: "pg_isready",
  },
  {
    name: "PgRestarted",
    finding: "PG-RESTARTED",
    title: "{server} started less than five minutes ago",
    expression: arithmetic(time(), "-", metric("pg_postmaster_start_time_seconds")),
    fires: "below",
    levels: [{ severity: "info", threshold: 300 }],
    unit: "s",
    hint: "Caches are cold and statistics of the last run may be lost; look in the log for why it stopped.",
  },
  {
    name: "PgRoleChanged",
    finding: "PG-ROLE-CHANGED",
    title: "{server} changed between primary and standby",
    expression: changes("pg_replication_is_replica", 5),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0 }],
    hint: "A promotion or a rebuild took place; make sure clients write to the right server.",
    command: "select pg_is_in_recovery();",
  },
  {
    name: "PgSplitBrain",
    finding: "PG-SPLIT-BRAIN",
    title: "{value} servers of one topology accept writes",
    expression: aggregate("count", onlyPrimary, [], { acrossServers: true }),
    fires: "above",
    levels: [{ severity: "page", threshold: 1, forMs: minutes(1) }],
    hint: "Stop writes on all but the newest timeline at once: what is written on both sides cannot be merged.",
    command: "select timeline_id from pg_control_checkpoint();",
  },
  {
    name: "PgPendingRestart",
    finding: "PG-PENDING-RESTART",
    title: "settings of {server} wait for a restart",
    expression: metric("pg_settings_pending_restart"),
    fires: "above",
    levels: [{ severity: "info", threshold: 0 }],
    unit: "settings",
    hint: "The server runs with other values than its files say; plan a restart.",
    command: "select name, setting from pg_settings where pending_restart;",
  },
  {
    name: "PgChecksumFailure",
    finding: "PG-CHECKSUM-FAILURE",
    title: "a data page of {datname} on {server} is damaged",
    expression: increase("pg_stat_database_checksum_failures", 60),
    fires: "above",
    levels: [{ severity: "page", threshold: 0 }],
    unit: "pages in 1 h",
    hint: "Stop trusting this disk: fail over to a standby, then restore from a backup taken before.",
    command: "select datname, checksum_failures, checksum_last_failure from pg_stat_database;",
  },
  {
    name: "PgDiskFilling",
    finding: "HOST-DISK",
    title: "the disk under {mountpoint} is nearly full",
    expression: arithmetic(
      number(1),
      "-",
      arithmetic(metric("node_filesystem_avail_bytes"), "/", metric("node_filesystem_size_bytes")),
    ),
    fires: "above",
    levels: [
      { severity: "page", threshold: 0.95, forMs: minutes(5), clear: 0.93 },
      { severity: "warn", threshold: 0.85, forMs: minutes(30), clear: 0.83 },
    ],
    unit: "ratio",
    hint: "The server stops when it is full; look for retained WAL, old backups and bloat before enlarging it.",
  },
  {
    name: "CollectorFailing",
    finding: "MONITOR-COLLECTOR",
    title: "collector {collector} fails on {server}",
    expression: and(metric("pg_scrape_collector_success"), compare(metric("pg_up"), "==", 1)),
    fires: "below",
    levels: [{ severity: "warn", threshold: 1, forMs: minutes(10) }],
    hint: "What it reads is shown with its age; the monitor's log says why, a missing right is the usual reason.",
    command: "grant pg_monitor to current_user;",
  },
];
