import { aggregate, and, arithmetic, compare, increase, metric, rate } from "../expression.ts";
import type { AlertRule } from "../rule.ts";

const minutes = (n: number): number => n * 60_000;
const hour = 3_600_000;
const checkpointsRequested = increase("pg_stat_bgwriter_checkpoints_req_total", 30);
const checkpointsTimed = increase("pg_stat_bgwriter_checkpoints_timed_total", 30);
const ageOf = (kind: "xid" | "mxid", setting: string) =>
  arithmetic(aggregate("max", metric(`pg_database_${kind}_age`), ["datname"]), "/", metric(setting), []);

/** What piles up: transaction ids, dead rows, sequences, checkpoints, temporary files. */
export const maintenanceRules: readonly AlertRule[] = [
  {
    name: "PgXidAgeHigh",
    finding: "PG-XID-AGE",
    title: "{datname} on {server} is overdue for freezing",
    expression: ageOf("xid", "pg_settings_autovacuum_freeze_max_age"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 1.5, forMs: minutes(30), clear: 1.2 }],
    unit: "× autovacuum_freeze_max_age",
    hint: "Autovacuum should have frozen it; find what holds it up before transaction ids run out.",
    command: "vacuum (freeze, verbose);",
  },
  {
    name: "PgXidAgeCritical",
    finding: "PG-XID-WRAPAROUND",
    title: "{datname} on {server} nears the end of its transaction ids",
    expression: aggregate("max", metric("pg_database_xid_age"), ["datname"]),
    fires: "above",
    levels: [{ severity: "page", threshold: 1e9, forMs: minutes(5), clear: 9e8 }],
    unit: "transactions",
    hint: "At 2.1 thousand million the server refuses writes; end what holds the horizon, vacuum the oldest tables.",
    command:
      "select oid::regclass, age(relfrozenxid) from pg_class where relkind in ('r', 't', 'm') " +
      "order by 2 desc limit 10;",
  },
  {
    name: "PgMxidAgeHigh",
    finding: "PG-MXID-AGE",
    title: "{datname} on {server} is overdue for freezing multixacts",
    expression: ageOf("mxid", "pg_settings_autovacuum_multixact_freeze_max_age"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 1.5, forMs: minutes(30), clear: 1.2 }],
    unit: "× autovacuum_multixact_freeze_max_age",
    hint: "Row locks shared by several transactions use them up; find what holds up autovacuum.",
    command: "vacuum (freeze, verbose);",
  },
  {
    name: "PgMxidAgeCritical",
    finding: "PG-MXID-WRAPAROUND",
    title: "{datname} on {server} nears the end of its multixact ids",
    expression: aggregate("max", metric("pg_database_mxid_age"), ["datname"]),
    fires: "above",
    levels: [{ severity: "page", threshold: 1e9, forMs: minutes(5), clear: 9e8 }],
    unit: "multixacts",
    hint: "End what holds the horizon, then vacuum the tables with the oldest relminmxid.",
    command:
      "select oid::regclass, mxid_age(relminmxid) from pg_class where relkind in ('r', 't', 'm') " +
      "order by 2 desc limit 10;",
  },
  {
    name: "PgXminHorizonHeld",
    finding: "PG-XMIN-HORIZON",
    title: "{holder} keeps VACUUM on {server} from removing rows",
    expression: metric("pg_xmin_horizon_age"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 1e7, forMs: minutes(30), clear: 8e6 }],
    unit: "transactions",
    hint: "End the old transaction, drop the unused slot, or mend the standby that feeds back.",
  },
  {
    name: "PgVacuumFallingBehind",
    finding: "PG-VACUUM-BEHIND",
    title: "autovacuum falls behind in {datname} on {server}",
    expression: metric("pg_vacuum_trigger_ratio_max"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 2, forMs: hour, clear: 1.5 }],
    unit: "× its trigger",
    hint: "Give autovacuum more workers or more to spend (autovacuum_vacuum_cost_limit); end long transactions.",
  },
  {
    name: "PgSequenceNearlyFull",
    finding: "PG-SEQUENCE-FULL",
    title: "a sequence of {datname} on {server} nears its end",
    expression: metric("pg_sequences_used_ratio_max"),
    fires: "above",
    levels: [
      { severity: "page", threshold: 0.9 },
      { severity: "warn", threshold: 0.75 },
    ],
    unit: "ratio",
    hint: "Inserts fail when it is reached; change the column to bigint while there is time.",
  },
  {
    name: "PgInvalidIndex",
    finding: "PG-INVALID-INDEX",
    title: "{datname} on {server} has invalid indexes",
    expression: metric("pg_index_invalid"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0, forMs: hour }],
    unit: "indexes",
    hint: "They cost every write and help no read; build them anew or drop them.",
    command: "select indexrelid::regclass from pg_index where not indisvalid;",
  },
  {
    name: "PgCheckpointsRequested",
    finding: "PG-CHECKPOINTS",
    title: "most checkpoints of {server} are forced by WAL volume",
    expression: and(
      arithmetic(checkpointsRequested, "/", arithmetic(checkpointsRequested, "+", checkpointsTimed)),
      compare(checkpointsRequested, ">=", 3),
    ),
    fires: "above",
    levels: [{ severity: "warn", threshold: 0.5, forMs: minutes(30), clear: 0.4 }],
    unit: "ratio",
    hint: "Each one writes every page whole again; raise max_wal_size.",
    command: "alter system set max_wal_size = '4GB'; select pg_reload_conf();",
  },
  {
    name: "PgTempFiles",
    finding: "PG-TEMP-FILES",
    title: "queries in {datname} on {server} spill to disk",
    expression: rate("pg_stat_database_temp_bytes", 10, { datname: { not: "" } }),
    fires: "above",
    levels: [{ severity: "info", threshold: 10e6, forMs: minutes(15), clear: 8e6 }],
    unit: "bytes per s",
    hint: "Find the statements that sort or hash much, and raise work_mem for their role.",
  },
  {
    name: "PgQueryRegression",
    finding: "PG-QUERY-REGRESSION",
    title: "a query in {datname} on {server} became {value} times slower",
    expression: metric("pg_query_regression_ratio"),
    fires: "above",
    levels: [{ severity: "warn", threshold: 3, forMs: minutes(10), clear: 2 }],
    unit: "× its time at this hour of the last 7 days",
    hint: "Compare its plan with what it was: a lost index, old statistics and a larger table are the usual causes.",
    command: "select query from pg_stat_statements where queryid = {queryid};",
  },
  {
    name: "PgStatementsEvicted",
    finding: "PG-STATEMENTS-EVICTED",
    title: "pg_stat_statements on {server} throws statements out",
    expression: increase("pg_stat_statements_dealloc_total", 60),
    fires: "above",
    levels: [{ severity: "info", threshold: 0 }],
    unit: "times in 1 h",
    hint: "The ranking of queries misses some; raise pg_stat_statements.max, and use parameters.",
    command: "alter system set pg_stat_statements.max = 10000; -- needs a restart",
  },
];
