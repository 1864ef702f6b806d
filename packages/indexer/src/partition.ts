import { type Queryable, quoteQualified } from "@db/core";
import { createIndexSql, type IndexDefinition, indexName } from "./definition.ts";

/** A table below a partitioned one. */
export interface Partition {
  readonly schema: string;
  readonly name: string;
  readonly parentSchema: string;
  readonly parent: string;
  /** False when it is partitioned itself. */
  readonly leaf: boolean;
}

/** One index of a partitioned table's tree, and how it is hung in. */
export interface PartitionStep {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  /** Made at once, over no rows, where the table is partitioned; concurrently on a leaf. */
  readonly create: string;
  readonly concurrent: boolean;
  /** Null for the topmost. */
  readonly attach: string | null;
}

// Foreign tables cannot hold an index.
const partitionsSql = /* sql */ `
  select n.nspname as schema, c.relname as name, pn.nspname as "parentSchema", p.relname as parent, t.isleaf as leaf
    from pg_catalog.pg_partition_tree($1::regclass) t
    join pg_catalog.pg_class c on c.oid = t.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class p on p.oid = t.parentrelid
    join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
   where t.level > 0 and c.relkind in ('r', 'p')
   order by t.level, n.nspname, c.relname`;

/** The tables below a partitioned one, parents before children. */
export async function readPartitions(db: Queryable, schema: string, table: string): Promise<readonly Partition[]> {
  return (await db.query<Partition>(partitionsSql, [quoteQualified(schema, table)])).rows;
}

/**
 * How an index is made on a partitioned table while writes go on, which CREATE INDEX CONCURRENTLY cannot do by
 * itself: an index over nothing on top, one concurrently on each partition, each attached. The top becomes valid with
 * the last.
 * @see https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
 */
export function planPartitioned(
  definition: IndexDefinition,
  partitions: readonly Partition[],
): readonly PartitionStep[] {
  const { schema = "public", table } = definition;
  const names = new Map([[`${schema}.${table}`, quoteQualified(schema, indexName(definition))]]);
  const top = {
    schema,
    table,
    name: indexName(definition),
    create: createIndexSql(definition, { only: true }),
    concurrent: false,
    attach: null,
  };
  const { name: _own, ...unnamed } = definition;
  const rest = partitions.map((partition) => {
    const own: IndexDefinition = { ...unnamed, schema: partition.schema, table: partition.name };
    const name = indexName(own);
    const parent = names.get(`${partition.parentSchema}.${partition.parent}`);
    names.set(`${partition.schema}.${partition.name}`, quoteQualified(partition.schema, name));
    return {
      schema: partition.schema,
      table: partition.name,
      name,
      create: createIndexSql(own, partition.leaf ? { concurrently: true } : { only: true }),
      concurrent: partition.leaf,
      attach:
        parent === undefined
          ? null
          : `alter index ${parent} attach partition ${quoteQualified(partition.schema, name)}`,
    };
  });
  return [top, ...rest];
}
