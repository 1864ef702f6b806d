import { type Collector, defineView, gauge } from "../collector.ts";

/** Locks held or awaited, by database and mode; modes nobody holds are shown as 0. */
export const locksCollector: Collector = defineView({
  name: "locks",
  tier: "T0",
  labels: { datname: "d.datname", mode: "m.mode" },
  from: `(values ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'),
                 ('sharelock'), ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'),
                 ('sireadlock')) as m (mode)
         cross join pg_catalog.pg_database d
         left join (select database, lower(mode) as mode, count(*) as held
                      from pg_catalog.pg_locks where database is not null group by 1, 2) l
                on l.database = d.oid and l.mode = m.mode`,
  columns: [gauge("pg_locks_count", "coalesce(l.held, 0)", "Number of locks")],
});
