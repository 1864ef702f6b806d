import { type Collector, defineMetrics } from "../collector.ts";
import type { XminHolder } from "../facts.ts";
import type { RowsOf } from "../live.ts";
import { freeText, rowsSql } from "../rows.ts";
import { readSenders, readSlots } from "./live.ts";

const kinds = ["activity", "slot", "standby", "prepared"] as const;

const sessionsSql = rowsSql(
  ["h.pid", "h.age"],
  `from (select pid, greatest(age(backend_xmin), age(backend_xid)) as age from pg_catalog.pg_stat_get_activity(null)
          where pid <> pg_catalog.pg_backend_pid() and backend_type <> 'walsender'
            and (backend_xmin is not null or backend_xid is not null) order by 2 desc limit 5) h`,
);

const preparedSql = rowsSql(
  [freeText("p.gid"), "age(p.transaction)"],
  "from pg_catalog.pg_prepared_xact() p order by age(p.transaction) desc limit 5",
);

/** The oldest few of each kind: many old sessions must not hide a slot. */
const mostOfKind = 5;

function holdersIn(rowsOf: RowsOf, version: number): readonly XminHolder[] {
  const slots = readSlots.read(rowsOf, version);
  const senders = readSenders.read(rowsOf, version);
  // A walsender shows its standby's horizon in both views; it is counted as the standby's.
  const found = [
    ...rowsOf(sessionsSql).map(([who = "", age]) => ({ holder: "activity" as const, who, age: Number(age) })),
    ...oldest(slots.map(({ name, xminAge }) => ({ holder: "slot" as const, who: name, age: xminAge }))),
    ...oldest(
      senders.map(({ application, pid, xminAge }) => ({
        holder: "standby" as const,
        who: application === "" ? `pid ${pid}` : application,
        age: xminAge,
      })),
    ),
    ...rowsOf(preparedSql).map(([who = "", age]) => ({ holder: "prepared" as const, who, age: Number(age) })),
  ];
  return found.toSorted((one, other) => other.age - one.age);
}

function oldest(holders: readonly (Omit<XminHolder, "age"> & { readonly age: number | null })[]): XminHolder[] {
  return holders
    .flatMap(({ age, ...holder }) => (age === null ? [] : { ...holder, age }))
    .toSorted((one, other) => other.age - one.age)
    .slice(0, mostOfKind);
}

const labelNames = ["holder"] as const;
const metrics = ["pg_xmin_horizon_age"] as const;

/** Who keeps VACUUM from removing rows: the oldest transaction of each kind of holder, 0 where there is none. */
export const horizonCollector: Collector = {
  name: "xmin_horizon",
  tier: "T0",
  per: "server",
  scope: "primary",
  since: 12,
  unhurried: true,
  metrics: defineMetrics(
    [
      {
        name: "pg_xmin_horizon_age",
        type: "gauge",
        help: "Transactions since the oldest one that VACUUM must respect, by who holds it",
      },
    ],
    { name: "xmin_horizon", tier: "T0", scope: "primary" },
    labelNames,
  ),
  begin: () => ({
    asks: (version) => [sessionsSql, readSlots.textOn(version), readSenders.textOn(version), preparedSql],
    make: (rowsOf, { version }) => {
      const xminHolders = holdersIn(rowsOf, version);
      const rows = kinds.map((kind) => ({
        labels: [kind],
        values: [xminHolders.find(({ holder }) => holder === kind)?.age ?? 0],
      }));
      return { tables: [{ labelNames, metrics, rows }], facts: { xminHolders } };
    },
  }),
};
