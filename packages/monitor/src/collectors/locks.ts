import { type Collector, defineMetrics, gauge } from "../collector.ts";
import { readDatabases, readLocks } from "./live.ts";

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

/** Locks held or awaited, by database and mode; modes nobody holds are shown as 0. */
export const locksCollector: Collector = {
  name,
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  metrics: defineMetrics(columns, { name, tier: "T0" }, labelNames),
  begin: () => ({
    asks: (version) => [readLocks.textOn(version), readDatabases.textOn(version)],
    make: (rowsOf, { version }) => {
      const counts = new Map(
        readLocks.read(rowsOf, version).map(({ database, mode, count }) => [`${database} ${mode}`, count]),
      );
      const rows = [...readDatabases.read(rowsOf, version)].flatMap(([oid, datname]) =>
        modes.map((mode) => ({ labels: [datname, mode], values: [counts.get(`${oid} ${mode}`) ?? 0] })),
      );
      return { tables: [{ labelNames, metrics, rows }] };
    },
  }),
};
