import { type Collector, defineMetrics, defineView, gauge, toText } from "../collector.ts";
import type { RelationFact } from "../facts.ts";

const name = "catalog";
const ownSchemas = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'";
// What belongs to an extension is not the user's to mend.
const ownObject = `not exists (select from pg_catalog.pg_depend e
                    where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')`;

const findingsSql = (version: number): string => /* sql */ `
  (select 'primary-key' as kind, n.nspname as schema, c.relname as name, greatest(c.reltuples, 0)::float8 as rows,
          count(*) over () as total
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and ${ownSchemas} and ${ownObject}
      and not exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary)
    order by c.reltuples desc, 2, 3 limit 50)
  union all
  (select 'invalid-index', n.nspname, c.relname, greatest(t.reltuples, 0), count(*) over ()
     from pg_catalog.pg_index i
     join pg_catalog.pg_class c on c.oid = i.indexrelid
     join pg_catalog.pg_class t on t.oid = i.indrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where not i.indisvalid and c.relkind = 'i' and ${ownSchemas}
      and not exists (select from pg_catalog.pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
    order by 2, 3 limit 50)
  union all
  (select 'unvalidated', n.nspname, c.relname || '.' || k.conname, greatest(c.reltuples, 0), count(*) over ()
     from pg_catalog.pg_constraint k
     join pg_catalog.pg_class c on c.oid = k.conrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where not k.convalidated ${version >= 18 ? "and k.conenforced" : ""} and ${ownSchemas} and ${ownObject}
    order by 2, 3 limit 50)`;

const kinds = [
  ["primary-key", "pg_table_without_primary_key", "Tables without a primary key"],
  ["invalid-index", "pg_index_invalid", "Indexes left invalid, mostly by a failed CREATE INDEX CONCURRENTLY"],
  ["unvalidated", "pg_constraint_not_validated", "Constraints added NOT VALID and never validated"],
] as const;

/** What the catalog says about the design: tables without a key, indexes and constraints that do not hold. */
export const catalogCollector: Collector = {
  name,
  tier: "T2",
  per: "database",
  scope: "primary",
  since: 12,
  metrics: defineMetrics(
    kinds.map(([, metric, help]) => ({ name: metric, type: "gauge", help })),
    { name, tier: "T2", scope: "primary" },
    ["datname"],
  ),
  begin:
    () =>
    async (session, { version, database }) => {
      const { rows } = await session.query<Record<string, unknown>>(findingsSql(version));
      const of = (kind: string): readonly RelationFact[] =>
        rows
          .filter((row) => row["kind"] === kind)
          .map((row) => ({
            database,
            schema: toText(row["schema"]),
            name: toText(row["name"]),
            rows: Number(row["rows"]),
          }));
      const totalOf = (kind: string): number => Number(rows.find((row) => row["kind"] === kind)?.["total"] ?? 0);
      return {
        tables: [
          {
            labelNames: ["datname"],
            metrics: kinds.map(([, metric]) => metric),
            rows: [{ labels: [database], values: kinds.map(([kind]) => totalOf(kind)) }],
          },
        ],
        facts: {
          catalog: {
            tablesWithoutPrimaryKey: of("primary-key"),
            invalidIndexes: of("invalid-index"),
            unvalidatedConstraints: of("unvalidated"),
          },
        },
      };
    },
};

/** Prepared transactions: they hold locks and rows until somebody ends them, restarts included. */
export const preparedCollector: Collector = defineView({
  name: "prepared_xacts",
  tier: "T1",
  scope: "primary",
  labels: {},
  from: "pg_catalog.pg_prepared_xacts p",
  columns: [
    gauge("pg_prepared_xacts_count", "count(*)", "Prepared transactions"),
    gauge(
      "pg_prepared_xacts_max_age_seconds",
      "coalesce(max(extract(epoch from clock_timestamp() - p.prepared)), 0)",
      "Age of the oldest prepared transaction",
    ),
  ],
});
