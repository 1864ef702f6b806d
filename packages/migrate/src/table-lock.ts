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
