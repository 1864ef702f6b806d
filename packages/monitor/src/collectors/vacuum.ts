import { type Collector, defineMetrics, toNumber, toText } from "../collector.ts";
import { isUserTable } from "./table.ts";

const name = "vacuum";

// The options of a table are looked at only where it has some. reltuples is -1 from 14 on while a table was never
// analyzed, and 0 before.
const overdueSql = /* sql */ `
  with server as materialized (
    select current_setting('autovacuum_vacuum_threshold')::float8 as threshold,
           current_setting('autovacuum_vacuum_scale_factor')::float8 as factor),
  dirty as materialized (
    select c.oid, n.nspname, c.relname, c.reloptions, c.dead, s.threshold, s.factor, greatest(c.reltuples, 0) as rows
      from (select c.*, pg_catalog.pg_stat_get_dead_tuples(c.oid) as dead
              from pg_catalog.pg_class c where c.relkind in ('r', 'm')) c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      cross join server s
     where ${isUserTable} and c.dead > 0
       and (c.reloptions is not null or c.dead > s.threshold + s.factor * greatest(c.reltuples, 0))),
  due as (
    select d.*, coalesce(o.enabled, true) as enabled,
           coalesce(o.threshold, d.threshold) + coalesce(o.factor, d.factor) * d.rows as trigger
      from dirty d
      cross join lateral (
        select max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold')::float8 as threshold,
               max(option_value) filter (where option_name = 'autovacuum_vacuum_scale_factor')::float8 as factor,
               bool_and(option_value::boolean) filter (where option_name = 'autovacuum_enabled') as enabled
          from pg_catalog.pg_options_to_table(d.reloptions)) o)
  select nspname, relname, dead::float8, pg_catalog.pg_stat_get_live_tuples(oid)::float8 as live, trigger::float8,
         enabled, dead / greatest(trigger, 1)::float8 as ratio, count(*) over () as overdue,
         to_char(greatest(pg_catalog.pg_stat_get_last_vacuum_time(oid),
                          pg_catalog.pg_stat_get_last_autovacuum_time(oid)) at time zone 'UTC',
                 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_vacuum
    from due where dead > trigger
   order by dead / greatest(trigger, 1) desc
   limit 20`;

/** Tables with more dead rows than should have made autovacuum begin. */
export const vacuumCollector: Collector = {
  name,
  tier: "T1",
  per: "database",
  scope: "primary",
  since: 12,
  metrics: [
    ...defineMetrics(
      [
        { name: "pg_vacuum_tables_overdue", type: "gauge", help: "Tables over their own autovacuum trigger" },
        {
          name: "pg_vacuum_trigger_ratio_max",
          type: "gauge",
          help: "Dead rows against the table's own autovacuum trigger, for the worst table",
        },
      ],
      { name, tier: "T1", scope: "primary" },
      ["datname"],
    ),
    ...defineMetrics(
      [
        {
          name: "pg_vacuum_trigger_ratio",
          type: "gauge",
          help: "Dead rows against the table's own autovacuum trigger, where it is over 1; at most 20 tables",
        },
      ],
      { name, tier: "T1", scope: "primary" },
      ["datname", "schemaname", "relname"],
    ),
  ],
  begin:
    () =>
    async (session, { database }) => {
      const { rows } = await session.query<Record<string, unknown>>(overdueSql);
      return {
        tables: [
          {
            labelNames: ["datname"],
            metrics: ["pg_vacuum_tables_overdue", "pg_vacuum_trigger_ratio_max"],
            rows: [
              { labels: [database], values: [Number(rows[0]?.["overdue"] ?? 0), Number(rows[0]?.["ratio"] ?? 0)] },
            ],
          },
          {
            labelNames: ["datname", "schemaname", "relname"],
            metrics: ["pg_vacuum_trigger_ratio"],
            rows: rows.map((row) => ({
              labels: [database, toText(row["nspname"]), toText(row["relname"])],
              values: [toNumber(row["ratio"])],
            })),
          },
        ],
        facts: {
          vacuum: rows.map((row) => ({
            database,
            schema: toText(row["nspname"]),
            table: toText(row["relname"]),
            deadRows: Number(row["dead"]),
            liveRows: Number(row["live"]),
            triggerRows: Math.round(Number(row["trigger"])),
            autovacuumEnabled: row["enabled"] === true,
            lastVacuum: row["last_vacuum"] === null ? null : toText(row["last_vacuum"]),
          })),
        },
      };
    },
};
