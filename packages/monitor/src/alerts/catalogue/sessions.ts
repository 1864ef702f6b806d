import { aggregate, and, arithmetic, compare, increase, metric, rate } from "../expression.ts";
import type { AlertRule } from "../rule.ts";

const minutes = (n: number): number => n * 60_000;
const clients = aggregate("sum", metric("pg_stat_activity_count", { backend_type: "client backend" }));
const transactions = aggregate("sum", rate("pg_stat_database_xact_commit", 5), ["datname"]);
const rollbacks = aggregate("sum", rate("pg_stat_database_xact_rollback", 5), ["datname"]);

/** What sessions do to each other: connections, locks, long transactions. */
export const sessionsRules: readonly AlertRule[] = [
  {
    name: "PgConnections",
    finding: "PG-CONNECTIONS",
    title: "{server} has used most of its connections",
    expression: arithmetic(clients, "/", metric("pg_connections_usable"), []),
    fires: "above",
    levels: [
      { severity: "page", threshold: 0.95, forMs: minutes(1), clear: 0.9 },
      { severity: "warn", threshold: 0.8, forMs: minutes(5), clear: 0.75 },
    ],
    unit: "ratio",
    hint: "Find the application that holds them and give it a smaller pool before raising max_connections.",
    command:
      "select application_name, state, count(*) from pg_stat_activity " +
      "where backend_type = 'client backend' group by 1, 2 order by 3 desc;",
  },
  {
    name: "PoolExhausted",
    finding: "POOL-EXHAUSTED",
    title: "the pool has callers waiting and no free connection to {server}",
    expression: and(
      metric("db_client_connection_pending_requests"),
      compare(
        arithmetic(
          metric("db_client_connection_count", { state: "used" }),
          "/",
          metric("db_client_connection_max"),
          [],
        ),
        ">=",
        1,
      ),
    ),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0, forMs: 30_000 }],
    hint: "Look for checkouts that are not given back and for slow transactions before raising the pool's size.",
  },
  {
    name: "PgIdleInTransaction",
    finding: "PG-IDLE-IN-TRANSACTION",
    title: "a session on {server} is idle inside a transaction",
    expression: metric("pg_stat_activity_max_idle_in_transaction_seconds"),
    fires: "above",
    levels: [
      { severity: "page", threshold: 1800, forMs: minutes(1), clear: 1500 },
      { severity: "warn", threshold: 300, forMs: minutes(1), clear: 240 },
    ],
    unit: "s",
    hint: "It holds its locks and keeps VACUUM from removing rows; end it and set idle_in_transaction_session_timeout.",
    command: "alter system set idle_in_transaction_session_timeout = '5min'; select pg_reload_conf();",
  },
  {
    name: "PgLongTransaction",
    finding: "PG-LONG-TRANSACTION",
    title: "a transaction in {datname} on {server} has been open for long",
    expression: aggregate("max", metric("pg_stat_activity_max_tx_duration", { backend_type: "client backend" }), [
      "datname",
    ]),
    fires: "above",
    levels: [
      { severity: "page", threshold: 3600, forMs: minutes(2), clear: 3000 },
      { severity: "warn", threshold: 600, forMs: minutes(2), clear: 500 },
    ],
    unit: "s",
    hint: "As long as it is open no dead row younger than it can be removed; commit in smaller steps.",
    command: "select pid, xact_start, state from pg_stat_activity where xact_start is not null order by xact_start;",
  },
  {
    name: "PgLongQuery",
    finding: "PG-LONG-QUERY",
    title: "a statement on {server} has been running for long",
    expression: metric("pg_stat_activity_max_query_seconds"),
    fires: "above",
    levels: [
      { severity: "page", threshold: 3600, forMs: minutes(1), clear: 3000 },
      { severity: "warn", threshold: 300, forMs: minutes(1), clear: 240 },
    ],
    unit: "s",
    hint: "Look at its plan; if it is meant to be long, mark it with the comment /* no-alert */.",
    command: "select pid, query_start, wait_event from pg_stat_activity where state = 'active' order by query_start;",
  },
  {
    name: "PgLockWait",
    finding: "PG-LOCK-WAIT",
    title: "a session on {server} waits for a lock",
    expression: metric("pg_stat_activity_max_lock_wait_seconds"),
    fires: "above",
    levels: [
      { severity: "page", threshold: 120, forMs: 30_000, clear: 60 },
      { severity: "warn", threshold: 30, forMs: 30_000, clear: 15 },
    ],
    unit: "s",
    hint: "Everything behind it in the queue waits too; end the session at the root of the tree.",
    command: "select pid, pg_blocking_pids(pid) from pg_stat_activity where wait_event_type = 'Lock';",
  },
  {
    name: "PgBlockedSessions",
    finding: "PG-BLOCKED-SESSIONS",
    title: "many sessions on {server} wait for locks",
    expression: metric("pg_stat_activity_blocked_count"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 5, forMs: minutes(1), clear: 3 }],
    unit: "sessions",
    hint: "They mostly wait for one session; end the one at the root of the tree.",
    command: "select pid, pg_blocking_pids(pid) from pg_stat_activity where wait_event_type = 'Lock';",
  },
  {
    name: "PgDeadlocks",
    finding: "PG-DEADLOCKS",
    title: "deadlocks in {datname} on {server}",
    expression: increase("pg_stat_database_deadlocks", 5, { datname: { not: "" } }),
    fires: "above",
    levels: [
      { severity: "warn", threshold: 5 },
      { severity: "info", threshold: 0 },
    ],
    unit: "deadlocks in 5 min",
    hint: "Lock rows in one order everywhere; the log names the statements.",
  },
  {
    name: "PgTooManyLocks",
    finding: "PG-TOO-MANY-LOCKS",
    title: "the lock table of {server} fills up",
    expression: arithmetic(
      aggregate("sum", metric("pg_locks_count")),
      "/",
      arithmetic(metric("pg_settings_max_locks_per_transaction"), "*", metric("pg_settings_max_connections")),
      [],
    ),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0.5, forMs: minutes(5), clear: 0.4 }],
    unit: "ratio",
    hint: "Statements over many partitions take a lock on each; raise max_locks_per_transaction.",
    command: "alter system set max_locks_per_transaction = 256; -- needs a restart",
  },
  {
    name: "PgRollbackRatio",
    finding: "PG-ROLLBACK-RATIO",
    title: "many transactions in {datname} on {server} roll back",
    expression: and(
      arithmetic(rollbacks, "/", arithmetic(rollbacks, "+", transactions, ["datname"]), ["datname"]),
      compare(arithmetic(rollbacks, "+", transactions, ["datname"]), ">", 1),
      ["datname"],
    ),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0.1, forMs: minutes(10), clear: 0.08 }],
    unit: "ratio",
    hint: "Look in the log for the errors behind it; retries and constraint violations are the usual ones.",
  },
  {
    name: "PgFatalSessions",
    finding: "PG-FATAL-SESSIONS",
    title: "sessions of {datname} on {server} end by fatal errors",
    expression: rate("pg_stat_database_sessions_fatal", 5, { datname: { not: "" } }),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0.1, forMs: minutes(5) }],
    unit: "per s",
    hint: "Failed logins, exhausted connections or a crash; the log tells which.",
  },
  {
    name: "PgPreparedTransaction",
    finding: "PG-PREPARED-XACT",
    title: "a prepared transaction on {server} is left open",
    expression: metric("pg_prepared_xacts_max_age_seconds"),
    fires: "above",
    levels: [
      { severity: "page", threshold: 3600 },
      { severity: "warn", threshold: 300 },
    ],
    unit: "s",
    hint: "It holds its locks and the xmin horizon over restarts; commit or roll it back by its name.",
    command: "select gid, prepared, owner from pg_prepared_xacts;",
  },
];
