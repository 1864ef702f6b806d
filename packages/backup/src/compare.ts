import { AbortedError, type Database, type DatabaseLike, type Queryable, quoteQualified, toDatabase } from "@db/core";
import { type JobOptions, resolveJobOptions } from "./options.ts";

/** One table on both sides. Hashes do not depend on the order of rows. */
export interface TableComparison {
  readonly schema: string;
  readonly table: string;
  /** Null where the table is missing. */
  readonly sourceRows: number | null;
  readonly restoredRows: number | null;
  readonly equal: boolean;
}

/** One sequence on both sides. */
export interface SequenceComparison {
  readonly schema: string;
  readonly sequence: string;
  /** As text: a value may be above 2^53. Null where the sequence is missing or was never used. */
  readonly sourceValue: string | null;
  readonly restoredValue: string | null;
  readonly equal: boolean;
}

/** Whether two databases hold the same. */
export interface ComparisonReport {
  readonly database: string;
  readonly equal: boolean;
  readonly tables: readonly TableComparison[];
  readonly sequences: readonly SequenceComparison[];
  /** Unlogged tables: a physical backup restores them empty by design. */
  readonly skipped: readonly string[];
  readonly rows: number;
  readonly durationMs: number;
}

interface TableContent {
  readonly rows: number;
  readonly hash: string;
}

interface DatabaseContent {
  readonly database: string;
  readonly tables: ReadonlyMap<string, TableContent & { readonly schema: string; readonly table: string }>;
  readonly sequences: ReadonlyMap<string, SequenceState>;
  readonly skipped: readonly string[];
}

interface SequenceState {
  readonly schema: string;
  readonly sequence: string;
  readonly value: string | null;
  readonly increment: string;
}

/**
 * Compares two databases table by table: the number of rows and a hash over all of them, computed by the servers, each
 * side in one snapshot; and the sequences. Every schema but PostgreSQL's own counts. The source must be quiet from the
 * backup's end on, or the differences are only its later changes.
 *
 * Cost: each table is read once on each side.
 * @throws {AbortedError}
 */
export async function compareDatabases(
  source: DatabaseLike,
  restored: DatabaseLike,
  options: JobOptions = {},
): Promise<ComparisonReport> {
  const job = resolveJobOptions(options);
  const began = job.clock.now();
  let done = 0;
  const onTable = (): void => {
    if (job.signal?.aborted) throw new AbortedError("the comparison was aborted", { cause: job.signal.reason });
    job.onProgress({ phase: "compare", current: ++done, unit: "steps" });
  };
  const [left, right] = await Promise.all([
    readContent(toDatabase(source), onTable),
    readContent(toDatabase(restored), onTable),
  ]);
  const tables = unionOf(left.tables, right.tables).map((key): TableComparison => {
    const [a, b] = [left.tables.get(key), right.tables.get(key)];
    const { schema, table } = (a ?? b)!;
    const equal = a !== undefined && b !== undefined && a.rows === b.rows && a.hash === b.hash;
    return { schema, table, sourceRows: a?.rows ?? null, restoredRows: b?.rows ?? null, equal };
  });
  const sequences = unionOf(left.sequences, right.sequences).map((key): SequenceComparison => {
    const [a, b] = [left.sequences.get(key), right.sequences.get(key)];
    const { schema, sequence } = (a ?? b)!;
    const equal = a !== undefined && b !== undefined && isSameOrPrefetched(a, b);
    return { schema, sequence, sourceValue: a?.value ?? null, restoredValue: b?.value ?? null, equal };
  });
  return {
    database: left.database,
    equal: [...tables, ...sequences].every(({ equal }) => equal),
    tables,
    sequences,
    skipped: [...new Set([...left.skipped, ...right.skipped])],
    rows: tables.reduce((sum, { sourceRows }) => sum + (sourceRows ?? 0), 0),
    durationMs: job.clock.now() - began,
  };
}

// Leaves only: a partitioned table's rows are its partitions'.
const tablesSql = /* sql */ `
  select n.nspname as schema, c.relname as table, c.relpersistence = 'u' as unlogged
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'm') and c.relpersistence <> 't'
     and (c.relkind = 'r' or c.relispopulated)
     and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
   order by 1, 2`;

const sequencesSql = /* sql */ `
  select schemaname as schema, sequencename as sequence, last_value::text as value, increment_by::text as increment
    from pg_catalog.pg_sequences
   where schemaname !~ '^pg_'
   order by 1, 2`;

// What turns a value into text must be the same on both sides, whatever the roles and databases have set.
const pinnedSettings: readonly string[] = [
  "set transaction isolation level repeatable read, read only",
  "set local datestyle = 'ISO, YMD'",
  "set local intervalstyle = 'postgres'",
  "set local timezone = 'UTC'",
  "set local extra_float_digits = 3",
  "set local bytea_output = 'hex'",
  "set local search_path = pg_catalog",
  // A policy that hides rows must be an error here, not a smaller table.
  "set local row_security = off",
  "set local statement_timeout = 0",
];

function readContent(db: Database, onTable: () => void): Promise<DatabaseContent> {
  return db.withTransaction(async (tx) => {
    for (const statement of pinnedSettings) await tx.query(statement);
    const [current] = (await tx.query<{ name: string }>("select pg_catalog.current_database() as name")).rows;
    const { rows: listed } = await tx.query<{ schema: string; table: string; unlogged: boolean }>(tablesSql);
    const tables = new Map<string, TableContent & { schema: string; table: string }>();
    for (const { schema, table, unlogged } of listed) {
      onTable();
      if (!unlogged)
        tables.set(quoteQualified(schema, table), { schema, table, ...(await hashTable(tx, schema, table)) });
    }
    const { rows: states } = await tx.query<SequenceState>(sequencesSql);
    return {
      database: current?.name ?? "",
      tables,
      sequences: new Map(states.map((state) => [quoteQualified(state.schema, state.sequence), state])),
      skipped: listed.filter(({ unlogged }) => unlogged).map(({ schema, table }) => `${schema}.${table}`),
    };
  });
}

// A sum does not depend on order; as numeric it cannot overflow; 64 bits a row make an accident impossible in practice.
async function hashTable(tx: Queryable, schema: string, table: string): Promise<TableContent> {
  const { rows } = await tx.query<{ rows: string; hash: string }>(/* sql */ `
    select count(*)::text as rows,
           coalesce(sum(pg_catalog.hashtextextended((t.*)::text, 0)), 0)::text as hash
      from only ${quoteQualified(schema, table)} t`);
  return { rows: Number(rows[0]?.rows), hash: rows[0]?.hash ?? "" };
}

/**
 * A sequence writes WAL only every 32 values and then for 32 ahead, so recovery may restore it up to that much further.
 * @see https://github.com/postgres/postgres/blob/master/src/backend/commands/sequence.c SEQ_LOG_VALS
 */
function isSameOrPrefetched(source: SequenceState, restored: SequenceState): boolean {
  if (source.increment !== restored.increment) return false;
  if (source.value === restored.value) return true;
  if (restored.value === null) return false;
  const step = BigInt(source.increment);
  if (source.value === null) return false;
  const steps = (BigInt(restored.value) - BigInt(source.value)) / step;
  return steps > 0n && steps <= 33n;
}

function unionOf(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].sort();
}
