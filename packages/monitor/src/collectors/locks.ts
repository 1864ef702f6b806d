import { type Collector, defineMetrics, gauge } from "../collector.ts";
import { rowsSql } from "../rows.ts";
import { readDatabases } from "./live.ts";

const name = "locks";
const labelNames = ["datname", "mode"] as const;
const columns = [gauge("pg_locks_count", "", "Number of locks")];
const metrics = columns.map((column) => column.name);
const modes = [
  "accesssharelock",
  "rowsharelock",
  "rowexclusivelock",
  "shareupdateexclusivelock",
  "sharelock",
  "sharerowexclusivelock",
  "exclusivelock",
  "accessexclusivelock",
  "sireadlock",
] as const;

const heldSql = rowsSql(
  ["l.database", "l.mode", "l.held"],
  "from (select database, mode, count(*) as held from pg_catalog.pg_locks group by 1, 2) l",
);

/**
 * Locks held or awaited, by database and mode; modes nobody holds are shown as 0. Whoever looks at all
 * locks holds up everybody who takes one: that costs a busy server more than all else a scrape asks.
 */
export const locksCollector: Collector = {
  name,
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  unhurried: true,
  metrics: defineMetrics(columns, { name, tier: "T0" }, labelNames),
  begin: () => ({
    asks: (version) => [heldSql, readDatabases.textOn(version)],
    make: (rowsOf, { version }) => {
      const counts = new Map(
        rowsOf(heldSql).map(([database, mode, count]) => [`${database} ${mode?.toLowerCase()}`, Number(count)]),
      );
      const rows = [...readDatabases.read(rowsOf, version)].flatMap(([oid, datname]) =>
        modes.map((mode) => ({ labels: [datname, mode], values: [counts.get(`${oid} ${mode}`) ?? 0] })),
      );
      return { tables: [{ labelNames, metrics, rows }] };
    },
  }),
};
