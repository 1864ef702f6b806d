import { dropIndexSql, type IndexDefinition } from "./definition.ts";
import { describeIndex } from "./plan.ts";
import { normalized, servingIndex } from "./serving.ts";
import { findTableFacts, type ForeignKeyFacts, type IndexFacts, type IndexSnapshot } from "./snapshot.ts";

/** An index nobody scanned. */
export interface UnusedIndex {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly bytes: number;
  /** False while scans were counted for too short a time, or standbys were not asked. */
  readonly certain: boolean;
  /** What keeps it from being certain; empty when it is. */
  readonly reservations: readonly string[];
  readonly drop: string;
  /** Makes it again. */
  readonly undo: string;
}

/** An index whose work another does as well. */
export interface DuplicateIndex {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  /** The one that stays. */
  readonly coveredBy: string;
  /** `duplicate`: the same; `covered`: its keys begin the other's. */
  readonly kind: "duplicate" | "covered";
  readonly bytes: number;
  readonly drop: string;
  readonly undo: string;
}

/** An index that is maintained and never used: a concurrent build that failed left it. */
export interface InvalidIndexFacts {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly bytes: number;
  readonly drop: string;
}

/** A foreign key whose referring columns have no index: each delete or key change over there reads this table whole. */
export interface ForeignKeyWithoutIndex extends ForeignKeyFacts {
  readonly rows: number;
  readonly definition: IndexDefinition;
  /** Statements that make the index. */
  readonly ddl: readonly string[];
}

/** How long scans must have been counted before an index may be called unused: 7 days. */
export const minStatisticsAgeMs: number = 7 * 86_400_000;

/** Indexes without a scan, largest first; never one behind a constraint, unique, or wanted by a foreign key. */
export function findUnused(snapshot: IndexSnapshot): readonly UnusedIndex[] {
  const reservations = reservationsOf(snapshot);
  return snapshot.indexes
    .filter((index) => index.valid && index.scans === 0 && mayGo(index) && !servesForeignKey(index, snapshot))
    .map((index) => ({ ...place(index), certain: reservations.length === 0, reservations, undo: index.ddl }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Indexes another makes superfluous, largest first. Each is named once, against one that stays. */
export function findDuplicates(snapshot: IndexSnapshot): readonly DuplicateIndex[] {
  const gone = new Set<IndexFacts>();
  const found: DuplicateIndex[] = [];
  // The widest stay: they are the first to be kept. Of equals the newest goes, as they come oldest first.
  const widest = (a: IndexFacts, b: IndexFacts): number =>
    b.keys.length + b.include.length - (a.keys.length + a.include.length);
  for (const index of snapshot.indexes.toReversed().sort(widest)) {
    const twins = snapshot.indexes.filter((other) => other !== index && !gone.has(other)).sort(widest);
    const keeper = twins.map((other) => ({ other, kind: redundancy(index, other) })).find(({ kind }) => kind !== null);
    if (keeper?.kind == null) continue;
    gone.add(index);
    found.push({ ...place(index), coveredBy: keeper.other.name, kind: keeper.kind, undo: index.ddl });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

/**
 * Whether the first index is superfluous beside the second: same method, predicate, operator classes and collations,
 * its keys the same or a prefix, in the same or wholly opposite direction, and nothing kept in its leaves that the
 * other lacks. An index behind a constraint, unique or marked for replication is never superfluous.
 */
export function redundancy(index: IndexFacts, other: IndexFacts): "duplicate" | "covered" | null {
  if (index.schema !== other.schema || index.table !== other.table || index.method !== other.method) return null;
  if (!index.valid || !other.valid || index.partition || other.partition) return null;
  if (index.constraint !== null || index.primary || index.replicaIdentity || index.clustered) return null;
  if (index.where !== other.where || index.keys.length > other.keys.length) return null;
  // Only an identical promise can take over the promise that values are unique.
  const sameLength = index.keys.length === other.keys.length;
  const samePromise = other.unique && sameLength && index.nullsNotDistinct === other.nullsNotDistinct;
  if (index.unique && !samePromise) return null;
  if (!sameLength && index.method !== "btree") return null;
  const direction = sameDirections(index, other);
  if (direction === "mixed" || !index.keys.every((key, at) => sameKey(key, other.keys[at]!))) return null;
  if (index.include.some((name) => !other.include.includes(name) && !isKey(other, name))) return null;
  const same = sameLength && other.include.length === index.include.length && index.unique === other.unique;
  return same ? "duplicate" : "covered";
}

function sameKey(a: IndexFacts["keys"][number], b: IndexFacts["keys"][number]): boolean {
  return (
    a.column === b.column &&
    normalizedOrNull(a.expression) === normalizedOrNull(b.expression) &&
    a.opclass === b.opclass &&
    a.collation === b.collation
  );
}

function sameDirections(index: IndexFacts, other: IndexFacts): "same" | "opposite" | "mixed" {
  if (index.method !== "btree") return "same";
  const flips = index.keys.map((key, at) => {
    const twin = other.keys[at]!;
    if (key.descending === twin.descending && key.nullsFirst === twin.nullsFirst) return "same";
    return key.descending !== twin.descending && key.nullsFirst !== twin.nullsFirst ? "opposite" : "mixed";
  });
  const [first = "same"] = flips;
  return flips.every((flip) => flip === first) ? first : "mixed";
}

/** What a failed concurrent build left behind. */
export function findInvalid(snapshot: IndexSnapshot): readonly InvalidIndexFacts[] {
  // The index of a partitioned table is invalid until each partition has its own: nothing failed there.
  return snapshot.indexes
    .filter((index) => !index.valid && findTableFacts(snapshot, index.table, index.schema)?.kind !== "partitioned")
    .map((index) => place(index));
}

/** Foreign keys whose referring columns begin no index, the largest tables first. */
export function findForeignKeysWithoutIndex(snapshot: IndexSnapshot): readonly ForeignKeyWithoutIndex[] {
  return snapshot.foreignKeys
    .flatMap((key) => {
      const table = findTableFacts(snapshot, key.table, key.schema);
      const definition = {
        schema: key.schema,
        table: key.table,
        keys: key.columns.map((column) => ({ column })),
      };
      if (table === undefined || table.kind === "partition") return [];
      if (servingIndex(definition, key.columns.length, snapshot.indexes, table) !== undefined) return [];
      const { ddl } = describeIndex(definition, table);
      return [{ ...key, rows: table.rows, definition, ddl }];
    })
    .sort((a, b) => b.rows - a.rows);
}

function reservationsOf(snapshot: IndexSnapshot): readonly string[] {
  const found: string[] = [];
  if ((snapshot.statisticsAgeMs ?? 0) < minStatisticsAgeMs) {
    const days = Math.floor((snapshot.statisticsAgeMs ?? 0) / 86_400_000);
    found.push(`scans have been counted for ${days} days only`);
  }
  const unasked = snapshot.replicas - snapshot.replicasAsked;
  if (unasked > 0) found.push(`${unasked} connected standby(s) count their own scans and were not asked`);
  if (snapshot.inRecovery) found.push("this is a standby; the primary counts its own scans");
  return found;
}

function mayGo(index: IndexFacts): boolean {
  return (
    !index.unique &&
    !index.primary &&
    index.constraint === null &&
    !index.replicaIdentity &&
    !index.clustered &&
    !index.partition &&
    index.bytes > 0
  );
}

// The deletes it makes cheap may be rare, and are terrible without it.
function servesForeignKey(index: IndexFacts, snapshot: IndexSnapshot): boolean {
  return snapshot.foreignKeys.some(
    (key) =>
      key.schema === index.schema &&
      key.table === index.table &&
      key.columns.every((column) => index.keys.slice(0, key.columns.length).some((own) => own.column === column)),
  );
}

function place(index: IndexFacts): {
  schema: string;
  table: string;
  name: string;
  bytes: number;
  drop: string;
} {
  return { schema: index.schema, table: index.table, name: index.name, bytes: index.bytes, drop: dropIndexSql(index) };
}

function isKey(index: IndexFacts, column: string): boolean {
  return index.keys.some((key) => key.column === column);
}

function normalizedOrNull(expression: string | null): string | null {
  return expression === null ? null : normalized(expression);
}
