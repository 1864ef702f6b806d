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
  begin:
    () =>
    async (session, { version }) => {
      const [locks, databases] = await Promise.all([readLocks(session, version), readDatabases(session, version)]);
      const rows = [...databases].flatMap(([oid, datname]) => {
        const held = locks.filter(({ database }) => database === oid);
        return modes.map((mode) => ({
          labels: [datname, mode],
          values: [held.find((lock) => lock.mode === mode)?.count ?? 0],
        }));
      });
      return { tables: [{ labelNames, metrics, rows }] };
    },
};
