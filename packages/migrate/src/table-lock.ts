/** Table locks by PostgreSQL's names, weakest first. */
export const lockModes = [
  "AccessShare",
  "RowShare",
  "RowExclusive",
  "ShareUpdateExclusive",
  "Share",
  "ShareRowExclusive",
  "Exclusive",
  "AccessExclusive",
] as const;

/** @see https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES */
export type LockMode = (typeof lockModes)[number];

/** One lock on one table. */
export interface TableLock {
  /** Qualified name. */
  readonly relation: string;
  readonly mode: LockMode;
}

/** The strongest lock on each table, of rows of pg_locks. */
export function strongestLocks(
  rows: readonly { readonly relation: string; readonly mode: string }[],
): ReadonlyMap<string, LockMode> {
  const locks = new Map<string, LockMode>();
  for (const { relation, mode } of rows) {
    const found = lockModes.find((name) => `${name}Lock` === mode);
    const held = locks.get(relation);
    if (found && (held === undefined || lockModes.indexOf(found) > lockModes.indexOf(held))) locks.set(relation, found);
  }
  return locks;
}
