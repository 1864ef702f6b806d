import { type Collector, defineMetrics, toText } from "../collector.ts";
import type { XminHolder } from "../facts.ts";

const kinds = ["activity", "slot", "standby", "prepared"] as const;

// A walsender shows its standby's horizon in both views; it is counted as the standby's.
// The oldest few of each kind: many old sessions must not hide a slot.
const holdersSql = /* sql */ `
  select holder, who, age from (
  select h.*, row_number() over (partition by holder order by age desc) as place from (
  select 'activity' as holder, pid::text as who, greatest(age(backend_xmin), age(backend_xid)) as age
    from pg_catalog.pg_stat_activity
   where pid <> pg_catalog.pg_backend_pid() and backend_type <> 'walsender'
     and (backend_xmin is not null or backend_xid is not null)
  union all
  select 'slot', slot_name, greatest(age(xmin), age(catalog_xmin))
    from pg_catalog.pg_replication_slots where xmin is not null or catalog_xmin is not null
  union all
  select 'standby', coalesce(nullif(application_name, ''), 'pid ' || pid), age(backend_xmin)
    from pg_catalog.pg_stat_replication where backend_xmin is not null
  union all
  select 'prepared', gid, age(transaction) from pg_catalog.pg_prepared_xacts) h) ranked
  where place <= 5
  order by age desc`;

/** Who keeps VACUUM from removing rows: the oldest transaction of each kind of holder, 0 where there is none. */
export const horizonCollector: Collector = {
  name: "xmin_horizon",
  tier: "T0",
  per: "server",
  scope: "primary",
  since: 12,
  metrics: defineMetrics(
    [
      {
        name: "pg_xmin_horizon_age",
        type: "gauge",
        help: "Transactions since the oldest one that VACUUM must respect, by who holds it",
      },
    ],
    { name: "xmin_horizon", tier: "T0", scope: "primary" },
    ["holder"],
  ),
  begin: () => async (session) => {
    const { rows } = await session.query<{ holder: XminHolder["holder"]; who: unknown; age: unknown }>(holdersSql);
    const xminHolders = rows.map((row) => ({ holder: row.holder, who: toText(row.who), age: Number(row.age) }));
    return {
      tables: [
        {
          labelNames: ["holder"],
          metrics: ["pg_xmin_horizon_age"],
          rows: kinds.map((kind) => ({
            labels: [kind],
            values: [xminHolders.find(({ holder }) => holder === kind)?.age ?? 0],
          })),
        },
      ],
      facts: { xminHolders },
    };
  },
};
