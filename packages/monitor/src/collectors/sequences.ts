import { type Collector, defineMetrics, toNumber, toText } from "../collector.ts";

const name = "sequences";

// The column a sequence feeds may be smaller than the sequence: an int4 filled from a bigint sequence ends at 2^31.
const usedSql = /* sql */ `
  select s.schemaname, s.sequencename,
         coalesce(d.refobjid::regclass::text || '.' || a.attname, '') as fed,
         (s.last_value::numeric / least(s.max_value, case a.atttypid
            when 'pg_catalog.int2'::regtype then 32767
            when 'pg_catalog.int4'::regtype then 2147483647
            else 9223372036854775807 end))::float8 as used
    from pg_catalog.pg_sequences s
    join pg_catalog.pg_namespace n on n.nspname = s.schemaname
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.sequencename
    left join pg_catalog.pg_depend d
      on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
     and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
    left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
   where s.last_value is not null and not s.cycle and s.increment_by > 0
   order by used desc
   limit 20`;

/** How much of their range sequences have used, identity columns included. */
export const sequenceCollector: Collector = {
  name,
  tier: "T2",
  per: "database",
  scope: "primary",
  since: 12,
  metrics: [
    ...defineMetrics(
      [{ name: "pg_sequences_used_ratio_max", type: "gauge", help: "Part of its range the fullest sequence has used" }],
      { name, tier: "T2", scope: "primary" },
      ["datname"],
    ),
    ...defineMetrics(
      [{ name: "pg_sequences_used_ratio", type: "gauge", help: "Part of its range a sequence has used; fullest 20" }],
      { name, tier: "T2", scope: "primary" },
      ["datname", "schemaname", "sequencename"],
    ),
  ],
  begin:
    () =>
    async (session, { database }) => {
      const { rows } = await session.query<Record<string, unknown>>(usedSql);
      return {
        tables: [
          {
            labelNames: ["datname"],
            metrics: ["pg_sequences_used_ratio_max"],
            rows: [{ labels: [database], values: [toNumber(rows[0]?.["used"]) ?? 0] }],
          },
          {
            labelNames: ["datname", "schemaname", "sequencename"],
            metrics: ["pg_sequences_used_ratio"],
            rows: rows.map((row) => ({
              labels: [database, toText(row["schemaname"]), toText(row["sequencename"])],
              values: [toNumber(row["used"])],
            })),
          },
        ],
        facts: {
          sequences: rows.map((row) => ({
            database,
            schema: toText(row["schemaname"]),
            sequence: toText(row["sequencename"]),
            column: toText(row["fed"]),
            usedRatio: toNumber(row["used"]) ?? 0,
          })),
        },
      };
    },
};
